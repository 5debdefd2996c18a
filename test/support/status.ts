/** A status in which everything that there can be is there. */
import type { Status } from '../../src/http/status.ts';

export const sampleStatus = {
  version: '1.2.3',
  state: 'degraded',
  startedAt: 1_767_000_000_000,
  waitingFor: [],
  haproxy: {
    pid: 42,
    version: '2.6.12',
    generation: 3,
    since: 1_767_000_001_000,
    socket: '/run/myelin/admin.sock',
    fileTrouble: { reason: 'no space left on device', since: 1_767_000_002_500 },
    drift: [{ backend: 'web', server: 'web-1', kind: 'state', detail: 'maint' }],
    oldWorkers: [{ pid: 41, generation: 2, since: 1_767_000_002_000, connections: 1 }],
  },
  lastApply: {
    at: 1_767_000_003_000,
    result: 'reload',
    reasons: [{ code: 'bind_changed' }],
    backends: [],
    tookMs: 41,
    error: null,
  },
  refusedConfig: { reason: 'myelin.yaml:3:5: unknown key', since: 1_767_000_003_500 },
  pending: null,
  orders: [{ backend: 'web', server: 'web-2', state: 'drain', since: 1_767_000_003_000, until: 1_767_001_803_000 }],
  sources: [
    { name: 'consul', state: 'up', required: true, synced: true, lastSuccess: 1_767_000_004_000, down: null },
    {
      name: 'cluster',
      state: 'down',
      required: false,
      synced: true,
      lastSuccess: 1_767_000_002_000,
      down: { reason: 'connect ECONNREFUSED', since: 1_767_000_002_000 },
    },
    { name: 'slow', state: 'starting', required: false, synced: false, lastSuccess: null, down: null },
  ],
  services: [
    {
      name: 'web',
      endpoints: { ready: 2, draining: 1, kept: 0, refused: 1 },
      unanswered: [],
      stale: null,
      kept: null,
      refused: [{ id: 'web-9', part: 'endpoint', reason: 'the port must be a whole number from 1 to 65535, not 0' }],
      quarantined: null,
    },
    {
      name: 'db',
      endpoints: { ready: 0, draining: 0, kept: 1, refused: 0 },
      unanswered: ['slow'],
      stale: { reason: 'connect ECONNREFUSED', since: 1_767_000_002_000 },
      kept: { reason: 'emptied', since: 1_767_000_002_000, until: null },
      refused: [],
      quarantined: { since: 1_767_000_002_000, problems: [{ message: 'unknown keyword', service: 'db' }] },
    },
  ],
  unserved: [{ watcher: 'cluster', service: 'shop:web', reason: 'mode: "udp" is not allowed; allowed: http, tcp' }],
} as const satisfies Status;
