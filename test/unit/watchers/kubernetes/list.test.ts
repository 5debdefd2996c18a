/** A list is read in pages of what its objects weigh: whoever may write a fat one neither stops the source nor fills the memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Api, Params } from '../../../../watchers/kubernetes/api/api.ts';
import { service } from '../../../../watchers/kubernetes/api/objects.ts';
import { list } from '../../../../watchers/kubernetes/api/reflect.ts';
import { services } from '../../../../watchers/kubernetes/api/resources.ts';

const kib = 1024;
const mib = 1024 * kib;

/** An API server with Services of these weights, and what it was asked. */
function serving(weights: readonly number[]) {
  const asked: { readonly limit: number; readonly from: number; readonly bytes: number; readonly most: number }[] = [];
  const api: Pick<Api, 'get'> = {
    get(_path, params: Params, _signal, most) {
      const from = Number(params.continue ?? 0);
      const limit = Number(params.limit);
      const bytes = weights.slice(from, from + limit).reduce((sum, weight) => sum + weight, 100);
      asked.push({ limit, from, bytes, most });
      if (bytes > most) return Promise.resolve({ kind: 'too_long' });
      const items = weights.slice(from, from + limit).map((_, at) => ({
        metadata: { name: `s${from + at}`, namespace: 'shop', uid: `${from + at}` },
        spec: {},
      }));
      const next = from + limit < weights.length ? { continue: `${from + limit}` } : {};
      return Promise.resolve({ kind: 'answer', bytes, body: { metadata: { resourceVersion: '7', ...next }, items } });
    },
  };
  const read = async (isWanted: (name: string) => boolean = () => true) => {
    const { objects, version, first } = await list({
      api: { ...api, stream: () => Promise.reject(new Error('nobody watches')) },
      resource: services,
      namespace: 'shop',
      params: {},
      schema: service,
      isWanted: ({ metadata }) => isWanted(metadata.name),
      signal: new AbortController().signal,
    });
    return { names: objects.map(({ metadata }) => metadata.name), version, first };
  };
  return { asked, read };
}

test('light objects are read in few pages', async () => {
  const { asked, read } = serving(Array.from({ length: 2000 }, () => 2 * kib));
  assert.equal((await read()).names.length, 2000);
  assert.ok(asked.length <= 7, `${asked.length} pages`);
});

test('what nobody asks for is not kept, and a list is known by its first object all the same', async () => {
  const { read } = serving([kib, kib, kib]);
  assert.deepEqual(await read((name) => name === 's1'), { names: ['s1'], version: '7', first: '0' });
});

test('of 500 objects of a megabyte no answer of more than 8 MiB is read, and few are broken off', async () => {
  const { asked, read } = serving(Array.from({ length: 500 }, () => 1.1 * mib));
  assert.equal((await read()).names.length, 500);
  assert.ok(asked.every(({ most }) => most <= 32 * mib));
  assert.ok(asked.filter(({ bytes, most }) => bytes > most).length <= 10);
});

test('an object that no etcd could hold is told by kind', async () => {
  await assert.rejects(serving([kib, 40 * mib]).read(), /one of services has more than \d+ bytes/);
});

test('whatever the objects weigh, each is read once, in order, and no page is larger than it may be', async () => {
  const weight = fc.oneof(
    fc.constant(kib),
    fc.integer({ min: 1, max: 300 * kib }),
    fc.integer({ min: 1, max: 9 * mib }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(weight, { maxLength: 300 }), async (weights) => {
      const { asked, read } = serving(weights);
      assert.deepEqual(
        (await read()).names,
        weights.map((_, at) => `s${at}`),
      );
      assert.ok(asked.every(({ limit, most }) => most <= (limit === 1 ? 32 : 8) * mib && limit <= 500));
      assert.ok(asked.length <= 3 * weights.length + 1);
    }),
    { numRuns: 50 },
  );
});
