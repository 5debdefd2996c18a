/** Myelin's metrics for Prometheus. States are read from the status on each request; events are counted. */
// Imported in parts: the whole package brings a push gateway, clusters and 8 MB.
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import { serverConditions } from '../haproxy/cli/stats.ts';
import { wallClock } from '../lib/time/clock.ts';
import type { Ms, ReloadReason } from '../model.ts';
import type { History } from './history/history.ts';
import { stateReasonNames, states } from './state.ts';
import { endpointStates, type Status, type UpdateResult, updateResults } from './status.ts';

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

/** The operator's limits at which connections are closed. */
export const closingLimits = ['max_old_workers', 'hard_stop_after', 'stop_grace', 'drain_timeout', 'on_hang'] as const;
type ClosingLimit = (typeof closingLimits)[number];

/** history: too many of a kind at once; reader: of the stream of events, which is let go because it reads too slowly. */
export const dropReasons = ['history', 'reader'] as const;
type DropReason = (typeof dropReasons)[number];

export type Metrics = {
  /** The result of a reconcile; `sinceChangeMs`: the age of the oldest change that it applied. */
  readonly updated: (result: UpdateResult, sinceChangeMs: Ms | null) => void;
  readonly reloaded: (reasons: readonly ReloadReason[], result: 'ok' | 'failed', tookMs: Ms) => void;
  readonly rendered: (tookMs: Ms) => void;
  readonly driftRepaired: (count: number) => void;
  /** `count` null: at least one; the number is not known. */
  readonly connectionsClosed: (limit: ClosingLimit, count: number | null) => void;
  readonly outputUpdated: (output: string, result: 'written' | 'restored' | 'failed') => void;
  /** Events whose details nobody can read any more. */
  readonly eventsDropped: (reason: DropReason) => void;
  /** HAProxy answered on its runtime API, this long after it was asked. */
  readonly haproxyAnswered: (tookMs: Ms) => void;
  /** In Prometheus' text format. */
  readonly text: () => Promise<string>;
};

/** From a runtime command (a fraction of a millisecond) to a reload under load (half a minute). */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type MetricsSources = {
  readonly version: string;
  readonly status: () => Status | Promise<Status>;
  readonly history: () => Pick<History, 'isCurrent' | 'size'>;
};

export function createMetrics({ version, status, history }: MetricsSources): Metrics {
  // Computed once per page, because it is expensive with thousands of services.
  let current: Status | null = null;
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name: `myelin_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string): Histogram =>
    new Histogram({ name: `myelin_${name}`, help, buckets, registers });
  /** One number, or one for each combination of labels; null leaves it out. */
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (now: Status, set: (labels: Partial<Record<L, string>>, value: number) => void) => void,
  ): void => {
    const made: Gauge<L> = new Gauge({
      name: `myelin_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        made.reset();
        if (current !== null) read(current, (labels, value) => made.set(labels as Record<L, string>, value));
      },
    });
  };

  gauge('build_info', 'Always 1; the version of Myelin is the label.', ['version'], (_, set) => set({ version }, 1));
  const updates = counter('updates_total', 'Reconciles, by what they came to.', ['result']);
  for (const result of updateResults) updates.inc({ result }, 0);
  const reloads = counter(
    'reloads_total',
    'Reloads of HAProxy, by reason and result; one with several reasons counts for each.',
    ['reason', 'result'],
  );
  const reloadSeconds = histogram(
    'reload_duration_seconds',
    'From the decision to reload until the new process has proved itself.',
  );
  const appliedSeconds = histogram(
    'event_to_applied_seconds',
    'From a change at a source until HAProxy serves accordingly.',
  );
  const answerSeconds = histogram(
    'haproxy_answer_seconds',
    'From a question whether HAProxy is alive until its answer on the runtime API, other questions before it included.',
  );
  const renderSeconds = histogram('render_seconds', 'Rendering the whole config from templates.');
  const closed = counter('connections_closed_total', 'Connections closed because of a limit in the config.', ['limit']);
  for (const limit of closingLimits) closed.inc({ limit }, 0);

  const repairs = counter(
    'drift_repairs_total',
    'Servers, map entries and backends that were not what they should be, and were repaired.',
    [],
  );
  gauge(
    'drift',
    'Servers, map entries and backends that are not what they should be and are only reported (drift: report).',
    [],
    (now, set) => set({}, now.haproxy?.drift.length ?? 0),
  );
  gauge('server_orders', 'Servers that an operator has taken out (myelin server).', [], (now, set) =>
    set({}, now.orders.length),
  );
  gauge('state', '1 for the state of Myelin, 0 for the others.', ['state'], (now, set) => {
    for (const state of states) set({ state }, now.state === state ? 1 : 0);
  });
  gauge('state_reason', '1 for each reason why Myelin is not ready, 0 for the others.', ['reason'], (now, set) => {
    for (const reason of stateReasonNames) set({ reason }, now.stateReasons.includes(reason) ? 1 : 0);
  });
  gauge(
    'reload_pending_seconds',
    'For how long a wanted reload has been waiting; 0: none is.',
    [],
    ({ pending }, set) => set({}, pending === null ? 0 : Math.max(0, wallClock() - pending.since) / 1000),
  );
  gauge(
    'last_apply_success',
    '1: the last apply went well or there was none; 0: it was rejected or failed.',
    [],
    (now, set) => set({}, now.lastApply === null || now.lastApply.error === null ? 1 : 0),
  );
  gauge('source_up', '1 while the source answers.', ['watcher'], ({ sources }, set) => {
    for (const { name, state } of sources) set({ watcher: name }, state === 'up' ? 1 : 0);
  });
  gauge(
    'source_last_success_timestamp_seconds',
    'Until when the source was known to be current: the present while it answers; missing until it has.',
    ['watcher'],
    ({ sources }, set) => {
      for (const { name, lastSuccess } of sources) if (lastSuccess !== null) set({ watcher: name }, lastSuccess / 1000);
    },
  );
  gauge(
    'endpoints',
    'Endpoints of a service: ready, draining, kept (although the sources do not name them any more), unfit (critical, not ready), refused (left out).',
    ['service', 'state'],
    ({ services }, set) => {
      // With thousands of services, zeros of rare states would fill most of the page.
      for (const { name, endpoints } of services)
        for (const state of endpointStates)
          if (state === 'ready' || endpoints[state] > 0) set({ service: name, state }, endpoints[state]);
    },
  );
  gauge(
    'servers',
    'Servers of a service, by what HAProxy says of them: up, down, draining, maint.',
    ['service', 'state'],
    ({ services }, set) => {
      for (const { name, health } of services)
        for (const state of health === null ? [] : serverConditions)
          if (state === 'up' || state === 'down' || (health?.servers[state] ?? 0) > 0)
            set({ service: name, state }, health?.servers[state] ?? 0);
    },
  );
  gauge(
    'service_up',
    '1 while HAProxy has a server up for the service, 0 while it has none.',
    ['service'],
    (now, set) => {
      for (const { name, health } of now.services) if (health !== null) set({ service: name }, health.isDown ? 0 : 1);
    },
  );
  gauge('unserved_services', 'Services that a source offers and that are left out.', ['watcher'], (now, set) => {
    for (const { name, unserved } of now.sources) set({ watcher: name }, unserved);
  });
  gauge('routes', 'Routes of a shared frontend.', ['frontend'], ({ frontends }, set) => {
    for (const { name, routes } of frontends) set({ frontend: name }, routes);
  });
  gauge(
    'routes_left_out',
    'Routes that are left out: another service has what they claim.',
    ['frontend'],
    (now, set) => {
      for (const { name, leftOut } of now.frontends) set({ frontend: name }, leftOut);
    },
  );
  gauge(
    'certificate_not_after_seconds',
    'When a certificate of a shared frontend ends, in seconds since 1970, by its name.',
    ['frontend', 'certificate'],
    ({ certificates }, set) => {
      for (const { frontend, name, notAfter } of certificates)
        if (notAfter !== null) set({ frontend, certificate: name }, notAfter / 1000);
    },
  );
  gauge(
    'certificates_left_out',
    'Certificates of a shared frontend of which something is wrong; an earlier one of the name serves on.',
    ['frontend'],
    ({ frontends, certificates }, set) => {
      for (const { name } of frontends)
        set({ frontend: name }, certificates.filter((each) => each.frontend === name && each.problem !== null).length);
    },
  );
  gauge(
    'ca_file_not_after_seconds',
    'When the first of the CA certificates of a file ends, in seconds since 1970. The frontend is empty for those towards servers.',
    ['frontend', 'file'],
    ({ caFiles }, set) => {
      for (const { frontend, file, notAfter } of caFiles)
        if (notAfter !== null) set({ frontend: frontend ?? '', file }, notAfter / 1000);
    },
  );
  gauge(
    'ca_files_left_out',
    'Files of CA certificates of which something is wrong; their former content stays in force.',
    [],
    ({ caFiles }, set) => set({}, caFiles.filter(({ problem }) => problem !== null).length),
  );
  gauge(
    'haproxy_up',
    '1 while the HAProxy that serves answers, 0 while it does not or none runs; missing where Myelin asks none.',
    [],
    ({ haproxy, state }, set) => {
      if (haproxy !== null) set({}, haproxy.unresponsive === null ? 1 : 0);
      else if (state === 'starting') set({}, 0);
    },
  );
  gauge(
    'haproxy_unresponsive',
    '1 while the HAProxy that serves does not answer, as when it hangs.',
    [],
    ({ haproxy }, set) => set({}, haproxy !== null && haproxy.unresponsive !== null ? 1 : 0),
  );
  gauge('old_workers', 'HAProxy processes that finish their last connections.', [], ({ haproxy }, set) =>
    set({}, haproxy?.oldWorkers.length ?? 0),
  );
  gauge(
    'quarantined_services',
    'Services that keep an older section because HAProxy refuses the new one.',
    [],
    (now, set) => set({}, now.services.filter(({ quarantined }) => quarantined !== null).length),
  );
  const outputUpdates = counter('output_updates_total', 'Changes of a file of `outputs`, by what they came to.', [
    'output',
    'result',
  ]);
  gauge(
    'output_current',
    '1 while a file of `outputs` is what it should be and its reader has been told; 0 while it fails or waits.',
    ['output'],
    ({ outputs }, set) => {
      for (const { name, state } of outputs) set({ output: name }, state === 'current' ? 1 : 0);
    },
  );
  const dropped = counter(
    'events_dropped_total',
    'Events that are only counted in the history (`history`), and readers of the stream that were too slow (`reader`).',
    ['reason'],
  );
  for (const reason of dropReasons) dropped.inc({ reason }, 0);
  gauge(
    'history_current',
    '1 while what happened is in the history’s file, 0 while it cannot be written.',
    [],
    (_, set) => set({}, history().isCurrent ? 1 : 0),
  );
  gauge('history_events', 'Events that the history lists.', [], (_, set) => set({}, history().size));
  observeProcess(registry);

  return {
    updated(result, sinceChangeMs) {
      updates.inc({ result });
      if (sinceChangeMs !== null && (result === 'runtime' || result === 'reload'))
        appliedSeconds.observe(sinceChangeMs / 1000);
    },
    reloaded(reasons, result, tookMs) {
      for (const reason of new Set(reasons.map(({ code }) => code))) reloads.inc({ reason, result });
      reloadSeconds.observe(tookMs / 1000);
    },
    rendered: (tookMs) => renderSeconds.observe(tookMs / 1000),
    driftRepaired: (count) => repairs.inc(count),
    connectionsClosed: (limit, count) => closed.inc({ limit }, count ?? 1),
    haproxyAnswered: (tookMs) => answerSeconds.observe(tookMs / 1000),
    eventsDropped: (reason) => dropped.inc({ reason }),
    outputUpdated: (output, result) => outputUpdates.inc({ output, result }),
    async text() {
      current = await status();
      return registry.metrics();
    },
  };
}

/** The usual metrics that are cheap to read; prom-client's own set keeps timers and observers running. */
function observeProcess(registry: Registry): void {
  const registers = [registry];
  const cpu: Counter = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of Myelin, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  const memory: Gauge = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of Myelin.',
    registers,
    collect: () => memory.set(process.memoryUsage.rss()),
  });
  const started = new Gauge({
    name: 'process_start_time_seconds',
    help: 'When Myelin was started, in seconds since 1970.',
    registers,
  });
  started.set(performance.timeOrigin / 1000);
}
