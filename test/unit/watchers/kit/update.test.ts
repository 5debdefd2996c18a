/** What a watcher of one's own may yield. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Update } from '../../../../src/model.ts';
import { checked } from '../../../../watchers/kit/update.ts';

const endpoint = { id: 'a', address: '192.0.2.1', port: 80, weight: 1, state: 'ready' } as const;

/** One of each kind, with all that it may have. */
const samples: { readonly [K in Update['kind']]: Extract<Update, { readonly kind: K }> } = {
  endpoints: {
    kind: 'endpoints',
    key: 'web',
    endpoints: [endpoint, { ...endpoint, id: 'b', tags: ['blue'], meta: { zone: 'a' } }],
    unreadable: [{ id: 'c', reason: 'no port' }],
    unfit: [{ id: 'd', address: '192.0.2.4', port: 80 }],
  },
  discovered: {
    kind: 'discovered',
    key: 'all',
    services: [{ key: 'shop/web', name: 'shop:web', owner: 'shop', createdAt: 0, options: { mode: 'http' } }],
  },
  gone: { kind: 'gone', key: 'web' },
  stale: { kind: 'stale', key: 'web', reason: 'HTTP 404', isUnanswerable: true },
  synced: { kind: 'synced' },
};

async function yielded(...said: readonly unknown[]): Promise<readonly Update[]> {
  const watch = checked('mine', async function* () {
    yield* said as readonly Update[];
  });
  const updates: Update[] = [];
  for await (const update of watch([], new AbortController().signal)) updates.push(update);
  return updates;
}

test('a watcher of one’s own may yield every kind of update that Myelin’s own yield', async () => {
  const all = Object.values(samples);
  assert.deepEqual(await yielded(...all), all);
});

test('what is no update fails the source, and the message names the place', async () => {
  for (const [wrong, message] of [
    [{ ...samples.endpoints, endpoints: [{ ...endpoint, port: '80' }] }, /endpoints\[0\]\.port/],
    [{ kind: 'discovered', key: 'all' }, /services/],
    [{ kind: 'changed', key: 'web' }, /kind/],
  ] as const)
    await assert.rejects(yielded(wrong), { code: 'MYELIN_SOURCE_FAILED', message });
});
