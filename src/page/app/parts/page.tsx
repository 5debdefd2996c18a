/** The page from top to bottom, in the order in which people on call ask. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { problemsOf } from '../../../report/status-problems.ts';
import { useHash, useNow, useView } from '../hooks.ts';
import { headlineOf } from '../model/headline.ts';
import { rowsOf } from '../model/services.ts';
import { speedOf } from '../model/speed.ts';
import type { Store } from '../store.ts';
import { Certificates } from './certificates.tsx';
import { Detail } from './detail.tsx';
import { Head } from './head.tsx';
import { Plans } from './plans.tsx';
import { Problems } from './problems.tsx';
import { Routes } from './routes.tsx';
import { Services } from './services.tsx';
import { SpeedPart } from './speed.tsx';
import { TimeLine } from './time-line.tsx';

export function Page({ store }: { readonly store: Store }): JSX.Element {
  const view = useView(store);
  const now = useNow(store);
  const selected = useHash().get('service');
  const status = view?.status ?? null;
  const rows = useMemo(() => rowsOf(status?.services ?? []), [status]);
  if (view === null || status === null) return <FirstMoment trouble={store.trouble} />;
  const { events, lost } = view;
  const speed = speedOf(events, now);
  const headline = headlineOf(status, speed.last, now);
  return (
    <div class={lost === null ? 'page' : 'page lost'}>
      <a class="skip" href="#services">
        Skip to the services
      </a>
      <Head status={status} headline={headline} lost={lost} now={now} />
      <main>
        <Problems problems={problemsOf(status, now)} now={now} />
        <Services rows={rows} selected={selected} />
        <TimeLine events={events} status={status} now={now} />
        <SpeedPart speed={speed} events={events} status={status} now={now} />
        <Routes status={status} />
        <Certificates status={status} now={now} />
        <Plans status={status} events={events} now={now} />
      </main>
      {selected !== null && <Detail key={selected} name={selected} status={status} now={now} />}
    </div>
  );
}

function FirstMoment({ trouble }: { readonly trouble: string | null }): JSX.Element {
  return (
    <main class="first" aria-live="polite">
      <h1>{trouble === null ? 'Asking Myelin…' : 'Myelin does not answer'}</h1>
      {trouble !== null && <p>{trouble}. Trying again each second.</p>}
    </main>
  );
}
