/** One event of each kind. */
import type { Event } from '../../../src/report/events.ts';
import type { ShownMessage } from '../../../src/report/messages.ts';

const reasons = [{ code: 'bind_changed', section: 'frontend web:in' }] as const;
const refused = [{ id: 'web-1', part: 'endpoint', reason: 'its port is 0' }] as const;
const drift = [{ backend: 'web', server: 'a', kind: 'missing', detail: '' }] as const;
const problems = [{ message: 'unknown keyword', service: 'web' }] as const;

const events: { readonly [K in ShownMessage['kind']]: Omit<Extract<ShownMessage, { kind: K }>, 'kind'> } = {
  started: { version: '1.2.3', config: 'myelin.yaml', watchers: ['consul'], more: 0 },
  stopped: {},
  config_read: { afterRestart: ['haproxy.control'], more: 0 },
  config_waits: { services: ['web'], more: 0 },
  restart_required: { settings: ['haproxy.control'], more: 0 },
  config_refused: { reason: 'myelin.yaml:3:5: unknown key', error: 'myelin.yaml:3:5: unknown key' },
  listen_waits: { error: 'probes.listen: another process listens there' },
  socket_restored: { path: '/run/myelin.sock' },
  request_failed: { error: 'x is not a function' },
  unhandled_rejection: { error: 'socket hang up' },
  synced: { watcher: 'consul' },
  answered: { watcher: 'consul', queries: ['web'], more: 0 },
  source_failed: { watcher: 'consul', reason: 'ECONNREFUSED', retryInMs: 900 },
  source_recovered: { watcher: 'consul' },
  watcher_hangs: { watcher: 'mine' },
  query_failed: { watcher: 'consul', queries: ['web'], more: 0, reason: 'HTTP 403' },
  query_recovered: { watcher: 'consul', queries: ['web'], more: 0 },
  refused: { watcher: 'consul', query: 'web', count: 2, refused, more: 0 },
  refused_by_config: { count: 2, queries: ['consul/web'], more: 0, refused },
  left_out: { watcher: 'cluster', service: 'shop:web', reason: 'mode: "udp" is not allowed; allowed: http, tcp' },
  left_out_others: { count: 30 },
  left_out_no_more: { watcher: 'cluster', service: 'shop:web' },
  large_loss: { service: 'web', reason: 'shrunk', endpoints: 3, until: 60_000, remedy: 'myelin accept web' },
  total_loss: { service: 'web', reason: 'emptied', endpoints: 3, until: null, remedy: 'myelin accept web' },
  loss_ended: { service: 'web' },
  accepted: { service: 'web', endpoints: 3 },
  pending: { reasons, more: 0, because: 'min_interval', startsAt: 2000 },
  reload_started: { reasons, more: 0 },
  reload: { reasons, more: 0, tookMs: 41, reloadMs: 38, sinceChangeMs: null },
  runtime: { backends: ['web'], more: 0, commands: 2, tookMs: 3, sinceChangeMs: 5 },
  rejected: { problems, more: 0, isServing: true },
  failed: { error: 'no space left on device', reasons, more: 0, tookMs: 41, isServing: true },
  reconcile_failed: { error: 'x is not a function' },
  quarantined: { service: 'web', problems, more: 0 },
  quarantine_ended: { service: 'web' },
  reload_only: { service: 'web', because: 'server-template' },
  drift_repaired: { drift, more: 0 },
  drift_found: { drift, more: 0 },
  override_set: { backend: 'web', server: 'a', state: 'ready', until: null },
  override_ended: { backend: 'web', server: 'a' },
  adopted: { pid: 42, generation: 3 },
  taken_over: { folder: '/run/handover/a/g3' },
  address_moved: { frontends: ['web:in'], more: 0 },
  exited: { pid: 42, generation: 3, words: 'Segmentation fault' },
  stopped_externally: { pid: 42, generation: 3 },
  unresponsive: { pid: 42, generation: 3, error: 'no answer within 5000 ms' },
  responsive: { pid: 42, generation: 3, silentMs: 12_000 },
  binary_changed: { path: '/usr/sbin/haproxy' },
  old_worker_gone: { pid: 41, ageMs: 65_000 },
  connections_closed: { limit: 'drain_timeout', pid: 42, connections: null },
  file_restored: { path: '/run/haproxy.cfg' },
  file_behind: { error: 'no space left on device' },
  file_caught_up: {},
  output_written: { output: 'hosts', path: '/etc/hosts.d/myelin' },
  output_failed: { output: 'nginx', step: 'check', error: 'nginx -t: exit status 1' },
  output_restored: { output: 'nginx', path: '/etc/nginx/conf.d/upstreams.conf' },
  output_recovered: { output: 'nginx' },
  trouble: { error: 'nobody answered' },
};

export const sampleEvents: readonly Event[] = Object.entries(events).map(
  ([kind, facts], at) => ({ id: `run-${at}`, at, kind, ...facts }) as Event,
);
