/** What needs attention: what, since when, why, and the command that acts. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Timestamp } from '../../../model.ts';
import type { StatusProblem } from '../../../report/status-problems.ts';
import { serviceLink } from '../hooks.ts';
import { count } from '../model/words.ts';
import { Age, Command, Empty, Icon, Section, Sentence } from './bits.tsx';

/** What has one cause often has many places. */
const mostShown = 12;

type Props = { readonly problems: readonly StatusProblem[]; readonly now: Timestamp };

export function Problems({ problems, now }: Props): JSX.Element {
  const [isAll, setAll] = useState(false);
  const shown = isAll ? problems.slice(0, 500) : problems.slice(0, mostShown);
  const more = problems.length - shown.length;
  return (
    <Section id="problems" title="Needs attention" aside={<span class="number">{problems.length}</span>}>
      {problems.length === 0 ? (
        <Empty tone="good">Nothing. Every source answers, and HAProxy serves what they say.</Empty>
      ) : (
        <ul class="problems">
          {shown.map((problem) => (
            <Row key={`${problem.kind} ${problem.about} ${problem.cause}`} problem={problem} now={now} />
          ))}
        </ul>
      )}
      {more > 0 && !isAll && (
        <button type="button" class="more" onClick={() => setAll(true)}>
          Show {count(more, 'more')}
        </button>
      )}
    </Section>
  );
}

function Row({ problem, now }: { readonly problem: StatusProblem; readonly now: Timestamp }): JSX.Element {
  const { severity, about, service, since, what, cause, command, remedy } = problem;
  return (
    <li>
      <Icon tone={severity} />
      <div class="what">
        <p>
          {about === null ? null : service === null ? (
            <strong>{about}</strong>
          ) : (
            <a href={serviceLink(service)}>{about}</a>
          )}{' '}
          <span class={`kind ${severity}`}>
            <Sentence text={what} />
          </span>
        </p>
        {[cause, remedy && `→ ${remedy}`].map(
          (text) =>
            text !== null && (
              <p key={text} class="cause">
                <Sentence text={text} />
              </p>
            ),
        )}
      </div>
      <div class="since">{since !== null && <Age since={since} now={now} />}</div>
      <div class="act">{command !== null && <Command text={command} />}</div>
    </li>
  );
}
