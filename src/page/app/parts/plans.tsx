/** The last plans that were carried out: how, why, and what differs. */
import type { JSX } from 'preact';
import type { Timestamp } from '../../../model.ts';
import type { Event } from '../../../report/events.ts';
import type { AppliedPlan } from '../../../report/last-plans.ts';
import type { Status } from '../../../report/status.ts';
import { formatReason } from '../../../report/text/format.ts';
import { useAnswer } from '../hooks.ts';
import { secondOfDay, span } from '../model/time.ts';
import { count } from '../model/words.ts';
import { Age, Empty, Section, Sentence } from './bits.tsx';

type Props = { readonly status: Status; readonly events: readonly Event[]; readonly now: Timestamp };

export function Plans({ status, now }: Props): JSX.Element {
  const { lastApply } = status;
  const { value, trouble } = useAnswer<readonly AppliedPlan[]>('api/v1/plans', lastApply?.at);
  return (
    <Section id="plans" title="Last plans">
      {value === null && <Empty>{trouble ?? 'Asking…'}</Empty>}
      {value?.length === 0 && <Empty>Nothing was planned since the start.</Empty>}
      {value?.map((plan) => (
        <details key={`${plan.at} ${plan.result}`} class="plan">
          <summary>
            <time class="number">{secondOfDay(plan.at)}</time>
            <span class="result">{plan.result === 'reload' ? 'reload' : 'at runtime'}</span>
            <span class="reason">
              <Sentence
                text={
                  plan.result === 'reload' ? plan.reasons.map(formatReason).join('; ') : count(plan.commands, 'command')
                }
              />
            </span>
            <span class="number took">{span(plan.tookMs)}</span>
            <Age since={plan.at} now={now} />
          </summary>
          <Diff text={plan.diff} />
        </details>
      ))}
    </Section>
  );
}

const kinds: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', '@': 'section' };

function Diff({ text }: { readonly text: string | null }): JSX.Element {
  if (text === null) return <Empty>Nothing ran before: the whole file is new.</Empty>;
  if (text === '') return <Empty>HAProxy’s files stay as they were.</Empty>;
  return (
    // Wider than a telephone: it scrolls by itself.
    <pre class="diff" tabIndex={0} aria-label="What differs">
      {text.split('\n').map((line, at) => (
        <span key={`${at} ${line}`} class={kinds[line.slice(0, 1)] ?? 'same'}>
          {line}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}
