/** One event of each kind. */
import type { Event, Happening } from '../../src/report/events.ts';

const reasons = [{ code: 'bind_changed', section: 'frontend web:in' }] as const;
const problems = [{ message: 'unknown keyword', service: 'web' }] as const;

const happenings: { readonly [K in Happening['kind']]: Omit<Extract<Happening, { kind: K }>, 'kind'> } = {
  answered: { watcher: 'consul', queries: ['web'], more: 0 },
  synced: { watcher: 'consul' },
  source_failed: { watcher: 'consul', reason: 'ECONNREFUSED', retryInMs: 900 },
  source_recovered: { watcher: 'consul' },
  answer_stale: { watcher: 'consul', queries: ['web'], more: 0, reason: 'HTTP 403' },
  answer_fresh: { watcher: 'consul', queries: ['web'], more: 0 },
  refused: { watcher: 'consul', query: 'web', count: 2 },
  kept: { service: 'web', reason: 'emptied', endpoints: 3, until: null },
  kept_no_longer: { service: 'web' },
  left_out: { watcher: 'cluster', service: 'shop:web', reason: 'mode: "udp" is not allowed; allowed: http, tcp' },
  left_out_no_more: { watcher: 'cluster', service: 'shop:web' },
  accepted: { service: 'web', endpoints: 3 },
  pending: { reasons, more: 0, because: 'the gap between reloads', startsAt: 2000 },
  reload_begun: { reasons, more: 0 },
  reload: { reasons, more: 0, tookMs: 41, sinceChangeMs: null },
  rejected: { problems, more: 0 },
  failed: { error: 'no space left on device', reasons, more: 0 },
  set_apart: { service: 'web', problems, more: 0 },
  whole_again: { service: 'web' },
  runtime: { backends: ['web'], more: 0, commands: 2, tookMs: 3, sinceChangeMs: 5 },
  drift: { drift: [{ backend: 'web', server: 'a', kind: 'missing', detail: '' }], more: 0, isRepaired: false },
  ordered: { backend: 'web', server: 'a', state: 'ready', until: null },
  order_over: { backend: 'web', server: 'a' },
  config_read: { afterRestart: ['haproxy.control'] },
  config_refused: { reason: 'myelin.yaml:3:5: unknown key' },
  adopted: { pid: 42, generation: 3 },
  taken_over: { folder: '/run/handover/a/g3' },
  unresponsive: { pid: 42, generation: 3, error: 'no answer within 5000 ms' },
  responsive: { pid: 42, generation: 3, silentMs: 12_000 },
  address_moved: { frontends: ['web:in'], more: 0 },
  dismissed: { pid: 42, generation: 3 },
  exited: { pid: 42, generation: 3, words: 'Segmentation fault' },
  binary_changed: { path: '/usr/sbin/haproxy' },
  old_worker_gone: { pid: 41, ageMs: 65_000 },
  connections_closed: { limit: 'drain_timeout', pid: 42, connections: null },
  file_restored: { path: '/run/haproxy.cfg' },
  file_behind: { error: 'no space left on device' },
  file_caught_up: {},
  trouble: { error: 'nobody answered' },
};

export const sampleEvents: readonly Event[] = Object.entries(happenings).map(
  ([kind, facts], at) => ({ id: `run-${at}`, at, kind, ...facts }) as Event,
);
