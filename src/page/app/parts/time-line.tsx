/** The last quarter of an hour: lanes at a glance, and below them what happened in words. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Timestamp } from '../../../model.ts';
import type { Event } from '../../../report/events.ts';
import type { Status } from '../../../report/status.ts';
import { describeEvent } from '../../../report/text/event-text.ts';
import { isoOf, secondOfDay, timeOfDay } from '../model/time.ts';
import { type Lane, laneFor, lanes, type Mark, marksOf, outagesOf, toneOf, windowMs } from '../model/timeline.ts';
import { count } from '../model/words.ts';
import { Empty, Icon, Section, Sentence } from './bits.tsx';

type Props = { readonly events: readonly Event[]; readonly status: Status; readonly now: Timestamp };

const mostShown = 40;
const titles: Readonly<Record<Lane, string>> = {
  changes: 'changes',
  reloads: 'reloads',
  failures: 'rejections',
  outages: 'outages',
  orders: 'orders',
};

export function TimeLine({ events, status, now }: Props): JSX.Element {
  const [lane, setLane] = useState<Lane | null>(null);
  const news = events.filter((event) => {
    const its = laneFor(event);
    return its !== null && (lane === null || its === lane) && now - event.at <= windowMs;
  });
  return (
    <Section id="time" title="Last 15 minutes">
      <div class="lanes" role="group" aria-label="Show one lane alone">
        {lanes.map((each) => (
          <div key={each} class="lane">
            <button type="button" aria-pressed={lane === each} onClick={() => setLane(lane === each ? null : each)}>
              {titles[each]}
            </button>
            <LanePlot lane={each} events={events} status={status} now={now} />
          </div>
        ))}
        <div class="axis number" aria-hidden="true">
          {[15, 10, 5].map((minutes) => (
            <span key={minutes}>{timeOfDay(now - minutes * 60_000, now)}</span>
          ))}
          <span>now</span>
        </div>
      </div>
      {news.length === 0 ? (
        <Empty>Nothing happened.</Empty>
      ) : (
        <ol class="events" tabIndex={0} aria-label="What happened, the newest first">
          {grouped(news)
            .slice(-mostShown)
            .reverse()
            .map(({ event, others }) => (
              <li key={event.id} class={toneOf(event)}>
                <time class="number" dateTime={isoOf(event.at)}>
                  {secondOfDay(event.at)}
                </time>
                <Icon tone={toneOf(event)} />
                <span>
                  <Sentence text={describeEvent(event)} />
                  {others > 0 && <em>, and {count(others, 'more', 'more')} before</em>}
                </span>
              </li>
            ))}
        </ol>
      )}
    </Section>
  );
}

type PlotProps = Props & { readonly lane: Lane };

function LanePlot({ lane, events, status, now }: PlotProps): JSX.Element {
  const marks = marksOf(events, lane, now);
  const outages = lane === 'outages' ? outagesOf(events, status, now) : [];
  const most = marks.reduce((max, mark) => Math.max(max, mark.count), 1);
  const total = marks.reduce((sum, mark) => sum + mark.count, 0);
  const said = [`${total} in 15 minutes`, ...outages.map(({ who, to }) => `${who} ${to === 1 ? 'is' : 'was'} out`)];
  return (
    <svg class={`plot ${lane}`} role="img" aria-label={`${titles[lane]}: ${said.join(', ')}`}>
      <line class="base" x1="0" x2="100%" y1="100%" y2="100%" />
      {[0, 1 / 3, 2 / 3].map((at) => (
        <line key={at} class="grid" x1={percent(at)} x2={percent(at)} y1="0" y2="100%" />
      ))}
      {outages.map(({ who, from, to }) => (
        <rect
          key={`${who} ${from}`}
          class="outage"
          x={percent(from)}
          y="7"
          width={percent(Math.max(0.004, to - from))}
          height="12"
          rx="2"
        >
          <title>{who}</title>
        </rect>
      ))}
      {marks.map((mark) => (
        <MarkShape key={mark.at} mark={mark} lane={lane} most={most} />
      ))}
    </svg>
  );
}

/** Of each lane another shape. */
function MarkShape({
  mark,
  lane,
  most,
}: {
  readonly mark: Mark;
  readonly lane: Lane;
  readonly most: number;
}): JSX.Element {
  const { at, count: many, tone } = mark;
  if (lane === 'changes') {
    const height = 5 + 19 * (Math.log1p(many) / Math.log1p(most));
    return <rect class={`mark ${tone}`} x={percent(at)} y={26 - height} width="5" height={height} rx="1" />;
  }
  const shapes: Readonly<Record<Exclude<Lane, 'changes'>, string>> = {
    reloads: 'M0-7L7 0L0 7L-7 0z',
    failures: 'M-3-6.500L0-3.500L3-6.500L6.500-3L3.500 0L6.500 3L3 6.500L0 3.500L-3 6.500L-6.500 3L-3.500 0L-6.500-3z',
    outages: 'M-1.500-7h3v14h-3z',
    orders: 'M-5.500-5.500h11v11h-11z',
  };
  return (
    <svg x={percent(at)} y="13" overflow="visible">
      <path class={`mark ${tone}`} d={shapes[lane]} />
    </svg>
  );
}

/** Of changes, and of what is the same, the last of those that follow each other stands for all. */
function grouped(events: readonly Event[]): readonly { readonly event: Event; readonly others: number }[] {
  const groups: { event: Event; others: number }[] = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last !== undefined && isLike(last.event, event)) groups[groups.length - 1] = { event, others: last.others + 1 };
    else groups.push({ event, others: 0 });
  }
  return groups;
}

function isLike(a: Event, b: Event): boolean {
  return a.kind === b.kind && (a.kind === 'runtime' || describeEvent(a) === describeEvent(b));
}

function percent(part: number): string {
  return `${(part * 100).toFixed(2)}%`;
}
