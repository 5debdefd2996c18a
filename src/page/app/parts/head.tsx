/** How it is: one sentence and a colour, and below it who says so. */
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Timestamp } from '../../../model.ts';
import type { Status } from '../../../report/status.ts';
import { formatReason } from '../../../report/text/format.ts';
import type { Headline } from '../model/headline.ts';
import { age, isoOf, secondOfDay, timeOfDay } from '../model/time.ts';
import { count, type Tone } from '../model/words.ts';
import { Icon, Sentence } from './bits.tsx';

type Props = {
  readonly status: Status;
  readonly headline: Headline;
  readonly lost: string | null;
  readonly now: Timestamp;
};

const words: Readonly<Record<Tone, string>> = { good: 'All is well', note: 'Note', warn: 'Degraded', bad: 'Trouble' };

/** For the tab of the browser, which others are in front of. */
const signs: Readonly<Record<Tone, string>> = { good: '✓', note: '✓', warn: '▲', bad: '✕' };

export function Head({ status, headline, lost, now }: Props): JSX.Element {
  const { tone, text } = headline;
  const title = lost === null ? `${signs[tone]} ${text}` : '? connection lost';
  useEffect(() => {
    document.title = `${title} · Myelin`;
  }, [title]);
  return (
    <header class={`head ${lost === null ? tone : 'unknown'}`}>
      <div class="bar">
        <span class="brand" title={`since ${isoOf(status.startedAt)}`}>
          Myelin <span class="version">{status.version}</span>
        </span>
        <nav aria-label="Parts of this page">
          <a href="#problems">Attention</a>
          <a href="#services">Services</a>
          <a href="#time">Time line</a>
          <a href="#speed">Speed</a>
          <a href="#routes">Routes</a>
          <a href="#plans">Plans</a>
        </nav>
        <span class="clock number">{lost === null ? <Live at={status.at} /> : 'not live'}</span>
      </div>
      {lost !== null && (
        <p class="connection" role="alert">
          <Icon tone="warn" />
          <span>
            This page shows the state of <strong>{secondOfDay(status.at)}</strong>. The connection is lost; retrying.
          </span>
        </p>
      )}
      <div class="say" aria-live="polite">
        <Icon tone={tone} />
        <div>
          <p class="word">{words[tone]}</p>
          <h1>{text}</h1>
        </div>
      </div>
      <Who status={status} now={now} />
    </header>
  );
}

function Live({ at }: { readonly at: Timestamp }): JSX.Element {
  return (
    <>
      <span class="dot" aria-hidden="true" /> live, {secondOfDay(at)}
    </>
  );
}

/** The sources, HAProxy, and the last reload. */
function Who({ status, now }: { readonly status: Status; readonly now: Timestamp }): JSX.Element {
  const { sources, haproxy, lastReload } = status;
  const reasons = lastReload?.reasons.slice(0, 2).map(formatReason).join('; ') ?? '';
  return (
    <dl class="who">
      {sources.map(({ name, state, down }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={down === null ? '' : 'warn'}>{down === null ? state : `down for ${age(down.since, now)}`}</dd>
        </div>
      ))}
      <div>
        <dt>HAProxy</dt>
        <dd>
          {haproxy === null
            ? 'none of Myelin’s runs'
            : `${haproxy.version ?? ''}, pid ${haproxy.pid}, for ${age(haproxy.since, now)}${
                haproxy.oldWorkers.length === 0
                  ? ''
                  : `, beside ${count(haproxy.oldWorkers.length, 'old process', 'old processes')}`
              }`}
        </dd>
      </div>
      <div>
        <dt>last reload</dt>
        <dd title={reasons}>
          {lastReload === null ? (
            'none since the start'
          ) : (
            <Sentence text={`${timeOfDay(lastReload.at, now)}, ${reasons}`} />
          )}
        </dd>
      </div>
    </dl>
  );
}
