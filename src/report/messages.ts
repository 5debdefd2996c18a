/**
 * The table of all messages of a running Myelin to its operator: for each one the level and text in the log, when it
 * is written, the facts of its event, and the metric that counts it. docs/reference/messages.md explains each.
 */
import type { DriverEvent } from '../apply/driver-event.ts';
import type { Drift, Ms, Problem, ReloadReason, ServerOverride, Timestamp } from '../model.ts';
import type { OutputEvent } from '../outputs/outputs.ts';
import type { Metrics } from './metrics.ts';
import type { ServiceStatus } from './status.ts';

/** After the first time, a message that is told only on change goes to the log at `debug`. */
type Told = 'each time' | 'on change' | 'on change, the event each time' | 'once in 5 minutes';

export type Entry<Facts> = {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** Always the same text, so that people can search for it; the facts hold what varies. */
  readonly text: string;
  readonly told: Told;
  readonly count?: (metrics: Metrics, facts: Facts) => void;
  /** A former name of the event, with its facts at that time: clients that know this name still get it, too. */
  readonly formerly?: { readonly kind: string } & Readonly<Record<string, unknown>>;
  /** For the compiler alone. */
  readonly facts?: Facts;
};

type Level = <Facts = Record<never, never>>(
  text: string,
  more?: Partial<Pick<Entry<Facts>, 'told' | 'count' | 'formerly'>>,
) => Entry<Facts>;

const at =
  (level: Entry<unknown>['level']): Level =>
  (text, more) => ({ level, text, told: 'each time', ...more });
const [error, warn, info, debug] = [at('error'), at('warn'), at('info'), at('debug')];

type OfDriver<Kind extends DriverEvent['kind']> = Omit<Extract<DriverEvent, { readonly kind: Kind }>, 'kind'>;
type OfOutput<Kind extends OutputEvent['kind']> = Omit<Extract<OutputEvent, { readonly kind: Kind }>, 'kind'>;
type OfRoute = { readonly service: string; readonly frontend: string; readonly route: string };
type OfCaFile = { readonly frontend: string | null; readonly file: string };
type OfCertificate = { readonly frontend: string; readonly certificate: string };
type OfQueries = { readonly watcher: string; readonly queries: readonly string[] };
type OfRefused = { readonly count: number; readonly refused: ServiceStatus['refused'] };
type OfService = { readonly service: string };
type OfServer = { readonly backend: string; readonly server: string };
type Loss = OfService & {
  readonly reason: 'emptied' | 'config' | 'shrunk';
  readonly endpoints: number;
  /** null: for ever. */
  readonly until: Timestamp | null;
  readonly remedy: string;
};
type OfReload = { readonly reasons: readonly ReloadReason[] };
/** `sinceChangeMs`: the age of the oldest change at a source that the update contains; null: it contains none. */
type Timing = { readonly tookMs: Ms; readonly sinceChangeMs: Ms | null };
type Failure = { readonly error: unknown; readonly isServing: boolean };

export const messages = {
  // Myelin
  started: info<{ readonly version: string; readonly config: string; readonly watchers: readonly string[] }>(
    'Myelin started',
  ),
  stopped: info<{ readonly servingOn: readonly string[]; readonly pid: number | null; readonly remedy: string | null }>(
    'Myelin stopped',
  ),
  config_read: info<{ readonly afterRestart: readonly string[] }>('config and templates read again'),
  config_waits: info<{ readonly services: readonly string[] }>('new config waits for answers about its services'),
  restart_required: warn<{ readonly settings: readonly string[] }>('some settings take effect after a restart'),
  config_refused: error<{ readonly reason: string; readonly error: unknown }>('new config refused, the old one stays', {
    told: 'on change',
  }),
  listen_waits: info<{ readonly error: unknown }>(
    'address is still used by the previous Myelin, listening there once that has stopped',
  ),
  socket_restored: warn<{ readonly path: string }>('control socket was removed by somebody else and is created again'),
  request_failed: error<{ readonly error: unknown }>('HTTP request could not be answered'),
  unhandled_rejection: error<{ readonly error: unknown }>('unexpected failure in the background, Myelin goes on'),

  // Sources
  synced: info<{ readonly watcher: string }>('source answered every query'),
  answered: debug<OfQueries>('source has news'),
  source_failed: warn<{
    readonly watcher: string;
    readonly reason: string;
    readonly retryInMs: Ms;
    /** Since Myelin started. */
    readonly hasAnswered: boolean;
  }>('source failed; retrying', { told: 'on change' }),
  source_recovered: info<{ readonly watcher: string }>('source answers again'),
  watcher_hangs: error<{ readonly watcher: string }>('watcher did not end when it was stopped, going on without it'),
  query_failed: warn<OfQueries & { readonly reason: string }>(
    'query failed, its last answer serves where there was one',
    {
      told: 'on change',
      formerly: { kind: 'answer_stale' },
    },
  ),
  query_recovered: info<OfQueries>('query is answered again', { formerly: { kind: 'answer_fresh' } }),
  refused: warn<{ readonly watcher: string; readonly query: string } & OfRefused>(
    'some of what the source says is refused, the rest is used',
    { told: 'on change' },
  ),
  refused_by_config: warn<{ readonly queries: readonly string[] } & OfRefused>(
    'some of what the sources say is refused by the new config, the rest is used',
  ),
  left_out: warn<{ readonly watcher: string; readonly service: string; readonly reason: string }>(
    'discovered service left out, the others are served',
    { told: 'on change' },
  ),
  left_out_others: warn<{ readonly count: number }>('further discovered services left out, the status counts them'),
  left_out_no_more: info<{ readonly watcher: string; readonly service: string }>(
    'discovered service is no longer left out',
  ),
  route_left_out: warn<OfRoute & { readonly holder: string }>('route left out: another service has it', {
    told: 'on change',
  }),
  route_left_out_others: warn<{ readonly count: number }>('further routes left out, the status counts them'),
  route_left_out_no_more: info<OfRoute>('route is no longer left out'),
  certificate_left_out: warn<
    OfCertificate & { readonly file: string | null; readonly reason: string; readonly isServed: boolean }
  >('certificate left out, an earlier one of its name serves on where there was one', { told: 'on change' }),
  certificate_left_out_no_more: info<OfCertificate>('certificate is no longer left out'),
  certificate_expires: warn<OfCertificate & { readonly notAfter: Timestamp }>('certificate expires within 14 days'),
  ca_file_left_out: warn<OfCaFile & { readonly reason: string; readonly isServed: boolean }>(
    'file of CA certificates left out, its former content stays in force where there was one',
    { told: 'on change' },
  ),
  ca_file_left_out_no_more: info<OfCaFile>('file of CA certificates is no longer left out'),
  ca_certificate_expires: warn<OfCaFile & { readonly subject: string; readonly notAfter: Timestamp }>(
    'CA certificate ends within 14 days, or has ended',
  ),

  // Endpoints that go
  large_loss: warn<Loss>('large loss of endpoints, retaining them (maxShrink)', { formerly: { kind: 'kept' } }),
  total_loss: warn<Loss>('loss of all endpoints, retaining the last ones (onEmpty)', { formerly: { kind: 'kept' } }),
  emptied_by_config: warn<Loss>('the config leaves the service without endpoints, retaining the last ones (onEmpty)'),
  loss_ended: info<OfService>('no endpoints are retained any more', { formerly: { kind: 'kept_no_longer' } }),
  accepted: info<OfService & { readonly endpoints: number }>('operator accepted the loss of endpoints'),

  // Reconciles
  pending: debug<OfReload & { readonly because: string; readonly startsAt: Timestamp }>('reload waits', {
    told: 'on change',
  }),
  reload_started: debug<OfReload>('reload started', { formerly: { kind: 'reload_begun' } }),
  reload: info<OfReload & Timing & { readonly reloadMs: Ms }>('HAProxy reloaded', {
    count(metrics, { reasons, reloadMs, sinceChangeMs }) {
      metrics.updated('reload', sinceChangeMs);
      metrics.reloaded(reasons, 'ok', reloadMs);
    },
  }),
  runtime: info<Timing & { readonly backends: readonly string[]; readonly commands: number }>(
    'servers changed at runtime',
    { count: (metrics, { sinceChangeMs }) => metrics.updated('runtime', sinceChangeMs) },
  ),
  rejected: error<{ readonly problems: readonly Problem[]; readonly isServing: boolean }>(
    'update rejected, what runs stays as it is; retrying',
    { told: 'on change, the event each time', count: (metrics) => metrics.updated('rejected', null) },
  ),
  failed: error<Failure & OfReload & { readonly tookMs: Ms }>('update failed, what runs stays as it is; retrying', {
    told: 'on change, the event each time',
    count(metrics, { reasons, tookMs }) {
      metrics.updated('failed', null);
      if (reasons.length > 0) metrics.reloaded(reasons, 'failed', tookMs);
    },
  }),
  reconcile_failed: error<{ readonly error: unknown }>('reconcile failed; retrying in 1 s', {
    told: 'on change, the event each time',
    count: (metrics) => metrics.updated('failed', null),
    formerly: { kind: 'failed', reasons: [], more: 0 },
  }),
  quarantined: error<{ readonly services: readonly string[]; readonly problems: readonly Problem[] }>(
    'service quarantined, the others are applied',
    { told: 'on change', formerly: { kind: 'set_apart' } },
  ),
  quarantine_ended: info<{ readonly services: readonly string[] }>('service released from quarantine', {
    formerly: { kind: 'whole_again' },
  }),
  reload_only: warn<OfService & { readonly because: string }>(
    'each new server of this service needs a reload, as its backend is written',
    { told: 'on change' },
  ),
  drift_repaired: warn<{ readonly drift: readonly Drift[] }>('drift repaired', {
    count: (metrics, { drift }) => metrics.driftRepaired(drift.length),
    formerly: { kind: 'drift', isRepaired: true },
  }),
  drift_found: warn<{ readonly drift: readonly Drift[] }>('drift found and left (drift: report)', {
    told: 'on change',
    formerly: { kind: 'drift', isRepaired: false },
  }),
  override_set: info<OfServer & { readonly state: ServerOverride | 'ready'; readonly until: Timestamp | null }>(
    'operator set the state of a server',
    { formerly: { kind: 'ordered' } },
  ),
  override_ended: info<OfServer>('time of a server override is over, the server follows its source again', {
    formerly: { kind: 'order_over' },
  }),

  // Outputs
  output_written: info<OfOutput<'output_written'>>('output written', {
    count: (metrics, { output }) => metrics.outputUpdated(output, 'written'),
  }),
  output_failed: error<OfOutput<'output_failed'>>('output failed; retrying', {
    told: 'on change',
    count: (metrics, { output }) => metrics.outputUpdated(output, 'failed'),
  }),
  output_restored: warn<OfOutput<'output_restored'>>('output file was changed by somebody else and is restored', {
    count: (metrics, { output }) => metrics.outputUpdated(output, 'restored'),
  }),
  output_recovered: info<OfOutput<'output_recovered'>>('output is what it should be again'),

  // HAProxy
  adopted: info<OfDriver<'adopted'>>('HAProxy was running already and keeps running'),
  taken_over: info<OfDriver<'taken_over'>>(
    'listeners taken over from the HAProxy of another Myelin; both serve until that one stops',
  ),
  address_moved: warn<OfDriver<'address_moved'>>(
    'address of a listener took another form, connections were refused for a moment',
  ),
  exited: error<OfDriver<'exited'>>('HAProxy exited unexpectedly'),
  stopped_externally: error<OfDriver<'stopped_externally'>>('HAProxy was told to stop, and not by Myelin', {
    formerly: { kind: 'dismissed' },
  }),
  unresponsive: error<OfDriver<'unresponsive'>>('HAProxy does not answer: it hangs, or is stopped'),
  responsive: info<OfDriver<'responsive'>>('HAProxy answers again'),
  backend_down: error<OfDriver<'backend_down'>>(
    'HAProxy’s checks find no server up for a service: its clients get errors',
  ),
  backend_down_others: error<OfDriver<'backend_down_others'>>(
    'HAProxy’s checks find no server up for further services, the status lists them',
  ),
  backend_up: info<OfDriver<'backend_up'>>('HAProxy has a server up again for a service'),
  binary_changed: info<OfDriver<'binary_changed'>>('HAProxy executable changed'),
  old_worker_gone: debug<OfDriver<'old_worker_gone'>>('old HAProxy process finished'),
  connections_closed: warn<OfDriver<'connections_closed'>>('limit of the config closed connections', {
    count: (metrics, { limit, connections }) => metrics.connectionsClosed(limit, connections),
  }),
  file_restored: warn<OfDriver<'file_restored'>>('config file was changed by somebody else and is restored'),
  file_behind: error<OfDriver<'file_behind'>>('config file cannot be written and is behind what runs'),
  file_caught_up: info('config file is what runs again'),
  trouble: warn<OfDriver<'trouble'>>('background task failed, what runs is not affected', {
    told: 'once in 5 minutes',
  }),
} as const;

export type MessageKind = keyof typeof messages;

type FactsOf<Kind extends MessageKind> = (typeof messages)[Kind] extends Entry<infer Facts> ? Facts : never;

export type Message = { [Kind in MessageKind]: { readonly kind: Kind } & FactsOf<Kind> }[MessageKind];

/** The entry of any kind, for code that treats all entries alike. */
export function entryOf(kind: MessageKind): Entry<Message> {
  return messages[kind] as unknown as Entry<Message>;
}

/** The facts in the event: lists are shortened, and an error is its text. */
type Shown<Facts> = {
  readonly [Key in keyof Facts]: unknown extends Facts[Key] ? string : Facts[Key];
} & (true extends {
  [Key in keyof Facts]: Facts[Key] extends readonly unknown[] ? true : false;
}[keyof Facts]
  ? { readonly more: number }
  : unknown);

export type ShownMessage = { [Kind in MessageKind]: { readonly kind: Kind } & Shown<FactsOf<Kind>> }[MessageKind];
