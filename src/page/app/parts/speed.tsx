/** How fast changes go live, what took reloads, and which old processes still finish their connections. */
import type { JSX } from 'preact';
import type { Ms, Timestamp } from '../../../model.ts';
import type { Event } from '../../../report/events.ts';
import type { Status } from '../../../report/status.ts';
import { reloadReasons } from '../../../report/text/reload-reasons.ts';
import { columns, histogram, reloadsOf, type Speed } from '../model/speed.ts';
import { age, span } from '../model/time.ts';
import { count, number } from '../model/words.ts';
import { Empty, Section, Sentence } from './bits.tsx';

type Props = {
  readonly speed: Speed;
  readonly events: readonly Event[];
  readonly status: Status;
  readonly now: Timestamp;
};

export function SpeedPart({ speed, events, status, now }: Props): JSX.Element {
  const { count: reloads, reasons } = reloadsOf(events, now);
  const old = status.haproxy?.oldWorkers ?? [];
  return (
    <Section id="speed" title="Speed and reloads" aside={<span>last 15 minutes</span>}>
      <div class="three">
        <div>
          <h3>Change → applied</h3>
          <dl class="figures">
            <Figure name="p50" value={speed.p50} />
            <Figure name="p99" value={speed.p99} />
            <div>
              <dt>changes</dt>
              <dd class="number">{number(speed.all.length)}</dd>
            </div>
          </dl>
          {speed.all.length === 0 ? <Empty>No change came.</Empty> : <Histogram all={speed.all} />}
        </div>
        <div>
          <h3>
            Reloads by reason <span class="number">{reloads}</span>
          </h3>
          {reasons.length === 0 ? (
            <Empty>No reload.</Empty>
          ) : (
            <table class="bars">
              <thead class="visually-hidden">
                <tr>
                  <th>reason</th>
                  <th>share</th>
                  <th>reloads</th>
                </tr>
              </thead>
              <tbody>
                {reasons.map(([code, many]) => (
                  <tr key={code}>
                    <th scope="row" title={`${code}. What avoids it: ${reloadReasons[code].avoid}`}>
                      <Sentence text={reloadReasons[code].words} />
                    </th>
                    <td>
                      <svg aria-hidden="true">
                        <rect width={`${(100 * many) / reloads}%`} height="100%" rx="2" />
                      </svg>
                    </td>
                    <td class="number">{many}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </div>
        <div>
          <h3>
            Old processes <span class="number">{old.length}</span>
          </h3>
          {old.length === 0 ? (
            <Empty>None: no old HAProxy holds connections.</Empty>
          ) : (
            <table>
              <thead>
                <tr>
                  <th>pid</th>
                  <th>old for</th>
                  <th>connections</th>
                </tr>
              </thead>
              <tbody>
                {old.map(({ pid, since, connections }) => (
                  <tr key={pid}>
                    <td class="number">{pid}</td>
                    <td class="number">{age(since, now)}</td>
                    <td class="number">{connections === null ? 'not known' : number(connections)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </div>
      </div>
    </Section>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: Ms | null }): JSX.Element {
  const [amount, unit] = value === null ? ['–', ''] : span(value).split('\u00a0');
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">
        {amount} <small>{unit}</small>
      </dd>
    </div>
  );
}

function Histogram({ all }: { readonly all: readonly Ms[] }): JSX.Element {
  const counts = histogram(all);
  const most = counts.reduce((max, each) => Math.max(max, each), 1);
  const width = 100 / columns.length;
  return (
    <figure>
      <svg class="histogram" role="img" aria-label={`How long ${count(all.length, 'change')} took`}>
        {counts.map((many, at) => (
          <rect
            key={columns[at]}
            x={`${at * width + 0.5}%`}
            width={`${width - 1}%`}
            y={`${100 - (100 * many) / most}%`}
            height={`${many === 0 ? 0 : Math.max(3, (100 * many) / most)}%`}
            rx="1.500"
          />
        ))}
      </svg>
      <figcaption class="axis number">
        <span>1 ms</span>
        <span>10 ms</span>
        <span>100 ms</span>
        <span>1 s</span>
        <span>10 s</span>
      </figcaption>
    </figure>
  );
}
