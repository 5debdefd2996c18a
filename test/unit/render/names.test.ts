/** Server names: readable, safe, unique, and the same again and again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../../src/model.ts';
import { identifier, nameServers, orderServers } from '../../../src/render/names.ts';

const endpoint = (id: string, address = '10.0.0.1', port = 80): Endpoint => ({
  id,
  address,
  port,
  weight: 1,
  state: 'ready',
});
const endpoints = fc
  .uniqueArray(
    fc.record({
      id: fc.oneof(fc.string({ unit: 'binary-ascii', minLength: 1 }), fc.constantFrom('a', 'a/b', 'a b')),
      port: fc.integer({ min: 1, max: 9 }),
    }),
    { selector: ({ port }) => port },
  )
  .map((list) => list.map(({ id, port }) => endpoint(id, '10.0.0.1', port)));

test('a good identity is the name as it is', () => {
  for (const id of ['web-1', '10.0.0.1:80', 'node7.dc1_web', 'a'.repeat(60)]) assert.equal(identifier(id), id);
});

test('what a name cannot hold is replaced, and a hash keeps apart what differed', () => {
  assert.equal(identifier('node1/web-1'), 'node1_web-1-0dfb64d0');
  assert.notEqual(identifier('node1/web-1'), identifier('node1 web-1'));
  assert.match(identifier('a'.repeat(61)), /^a{51}-[0-9a-f]{8}$/);
  assert.match(identifier('12'), /^12-[0-9a-f]{8}$/);
  assert.match(identifier('-x'), /^x-[0-9a-f]{8}$/);
  assert.match(identifier('日本'), /^server-[0-9a-f]{8}$/);
});

test('every name is one that HAProxy takes, and goes through unchanged', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (id) => {
      const name = identifier(id);
      assert.match(name, /^[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,59}$/);
      assert.equal(identifier(name), name);
    }),
  );
});

test('names are unique in a backend and do not depend on the order of arrival', () => {
  fc.assert(
    fc.property(endpoints, (list) => {
      const named = nameServers(list);
      assert.equal(new Set(named.map(({ name }) => name)).size, list.length);
      assert.deepEqual(nameServers(list.toReversed()), named);
    }),
  );
});

test('servers come in the order of their names', () => {
  const named = nameServers([endpoint('c'), endpoint('a', '10.0.0.2'), endpoint('B', '10.0.0.3')]);
  assert.deepEqual(
    orderServers(named, null).map(({ name }) => name),
    ['B', 'a', 'c'],
  );
});

test('ordered by host, each host has its own order, and one server more moves no other', () => {
  const named = nameServers(Array.from({ length: 20 }, (_, index) => endpoint(`web-${index}`, '10.0.0.1', index + 1)));
  const names = (servers: readonly { readonly name: string }[]): string[] => servers.map(({ name }) => name);
  const here = names(orderServers(named, 'here'));
  assert.notDeepEqual(here, names(orderServers(named, 'there')));
  assert.deepEqual(here.toSorted(), names(named).toSorted());
  for (const gone of here)
    assert.deepEqual(
      names(
        orderServers(
          named.filter(({ name }) => name !== gone),
          'here',
        ),
      ),
      here.filter((name) => name !== gone),
    );
});
