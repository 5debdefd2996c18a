/** One service: its servers, its ways, its certificates, overrides, and why it gets traffic or none. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Timestamp } from '../../../model.ts';
import type { RouteStatus } from '../../../report/routes.ts';
import type { ServerStatus } from '../../../report/servers.ts';
import type { CertificateStatus, Status } from '../../../report/status.ts';
import { commandLine } from '../../../report/text/command.ts';
import type { Why } from '../../../report/why.ts';
import { type Asked, useAnswer } from '../hooks.ts';
import { judge } from '../model/services.ts';
import { age, dateOf } from '../model/time.ts';
import { number, type Tone } from '../model/words.ts';
import { Command, Empty, Icon, Sentence } from './bits.tsx';

type Props = { readonly name: string; readonly status: Status; readonly now: Timestamp };

export function Detail({ name, status, now }: Props): JSX.Element {
  const query = encodeURIComponent(name);
  const service = status.services.find((each) => each.name === name);
  // What HAProxy says changes all the time; a source is asked anew where something else is known of the service.
  const state = service === undefined ? 'unknown' : judge(service);
  const said = JSON.stringify([state, service?.endpoints, service?.health?.servers, status.orders]);
  const servers = useAnswer<readonly ServerStatus[]>(`api/v1/servers?service=${query}`, status.at);
  const routes = useAnswer<readonly RouteStatus[]>(`api/v1/routes?service=${query}`, said);
  const why = useAnswer<Why>(`api/v1/why?about=${query}`, said);
  const title = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    const before = document.activeElement;
    title.current?.focus({ preventScroll: true });
    const typed = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') close();
    };
    addEventListener('keydown', typed);
    return () => {
      removeEventListener('keydown', typed);
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  const orders = status.orders.filter(({ backend }) => backend === name);
  return (
    <aside class="detail" aria-labelledby="detail-title">
      <header>
        <h2 id="detail-title" ref={title} tabIndex={-1}>
          {name}
        </h2>
        <button type="button" class="close" onClick={close}>
          close <kbd aria-hidden="true">Esc</kbd>
        </button>
      </header>
      <h3>Why it gets traffic, or none</h3>
      <WhyPart why={why} />
      <h3>
        Servers <span class="number">{servers.value?.length ?? ''}</span>
      </h3>
      <Servers servers={servers} now={now} />
      {orders.length > 0 && (
        <>
          <h3>Overrides</h3>
          <ul class="plain">
            {orders.map(({ backend, server, state: ordered, since, until }) => (
              <li key={server}>
                {backend}/{server} is set to <strong>{ordered}</strong> for {age(since, now)}
                {until === null ? '' : `, and for another ${age(now, until)}`}.
                <Command text={commandLine(status.config, 'server', 'ready', `${backend}/${server}`)} />
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>Routes</h3>
      <Ways routes={routes} />
      <CertificatesOf routes={routes.value ?? []} certificates={status.certificates} now={now} />
    </aside>
  );
}

function close(): void {
  // Without `#`, the browser would scroll to the top.
  history.pushState(null, '', location.pathname);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

function WhyPart({ why: { value, trouble } }: { readonly why: Asked<Why> }): JSX.Element {
  if (value === null) return <Empty>{trouble ?? 'Asking the source and HAProxy…'}</Empty>;
  return (
    <ol class="why">
      {value.steps.map(({ stage, isLost, text, remedy }) => (
        <li key={`${stage} ${text}`} class={isLost ? 'lost' : ''}>
          <Icon tone={isLost ? 'bad' : 'good'} />
          <div>
            <span class="stage">
              {stage}
              {isLost && ', lost here'}
            </span>
            <p>
              <Sentence text={text} />
            </p>
            {remedy !== null && (
              <p class="remedy">
                <Sentence text={remedy} />
              </p>
            )}
          </div>
        </li>
      ))}
    </ol>
  );
}

const tones: Readonly<Record<NonNullable<ServerStatus['health']>['condition'], Tone>> = {
  up: 'good',
  down: 'bad',
  draining: 'note',
  maint: 'note',
};

/** Of a service with hundreds of servers, the worst. */
const mostServers = 200;
const order = ['down', 'maint', 'draining', 'up'];

type ServersProps = {
  readonly servers: Asked<readonly ServerStatus[]>;
  readonly now: Timestamp;
};

function Servers({ servers: { value, trouble }, now }: ServersProps): JSX.Element {
  if (value === null) return <Empty>{trouble ?? 'Asking…'}</Empty>;
  if (value.length === 0) return <Empty>HAProxy has no server of it.</Empty>;
  const rank = ({ health }: ServerStatus): number => order.indexOf(health?.condition ?? 'down');
  const shown = value.toSorted((a, b) => rank(a) - rank(b)).slice(0, mostServers);
  return (
    <>
      <ul class="servers">
        {shown.map(({ backend, server, address, source, order: ordered, health }) => (
          <li key={`${backend}/${server}`}>
            <Icon tone={health === null ? 'note' : tones[health.condition]} />
            <div>
              <p>
                <strong>{server}</strong> <span class="address">{address}</span>
              </p>
              <p class="said">
                {health === null ? 'HAProxy does not have it yet' : `${health.status} for ${age(health.since, now)}`}
                {health?.check != null && `: ${health.check.code}, ${health.check.words}`}
              </p>
              <p class="said">
                source: {source ?? 'does not name it'}
                {ordered !== null && `; ordered: ${ordered}`}
                {health !== null &&
                  `; weight ${health.weight}, ${number(health.sessions)} sessions, ${number(health.sessionsPerSec)} per second, ${number(health.errors)} errors`}
              </p>
            </div>
          </li>
        ))}
      </ul>
      {value.length > shown.length && <Empty>{number(value.length - shown.length)} more are not shown.</Empty>}
    </>
  );
}

function Ways({ routes: { value, trouble } }: { readonly routes: Asked<readonly RouteStatus[]> }): JSX.Element {
  if (value === null) return <Empty>{trouble ?? 'Asking…'}</Empty>;
  if (value.length === 0) return <Empty>It has no route of a shared frontend.</Empty>;
  return (
    <ul class="plain">
      {value.map(({ frontend, route }) => (
        <li key={`${frontend} ${route}`}>
          <code>{route ?? 'all else'}</code> of {frontend}
        </li>
      ))}
    </ul>
  );
}

type CertificatesProps = {
  readonly routes: readonly RouteStatus[];
  readonly certificates: readonly CertificateStatus[];
  readonly now: Timestamp;
};

/** Those that clients see on the way to it. */
function CertificatesOf({ routes, certificates, now }: CertificatesProps): JSX.Element | null {
  const hosts = routes.map(({ frontend, route }) => ({ frontend, host: (route ?? '').split('/')[0] ?? '' }));
  const its = certificates.filter(({ frontend, names, isDefault }) =>
    hosts.some((way) => way.frontend === frontend && (isDefault || names.some((name) => covers(name, way.host)))),
  );
  if (its.length === 0) return null;
  return (
    <>
      <h3>Certificates</h3>
      <ul class="plain">
        {its.map(({ frontend, name, names, notAfter, problem }) => (
          <li key={`${frontend}/${name}`}>
            <strong>{name}</strong> {names.join(', ')}{' '}
            {notAfter === null
              ? 'is not served'
              : notAfter <= now
                ? `expired on ${dateOf(notAfter)}`
                : `until ${dateOf(notAfter)}`}
            {problem !== null && <p class="said">{problem}</p>}
          </li>
        ))}
      </ul>
    </>
  );
}

function covers(name: string, host: string): boolean {
  return name === host || (name.startsWith('*.') && host.slice(host.indexOf('.')) === name.slice(1));
}
