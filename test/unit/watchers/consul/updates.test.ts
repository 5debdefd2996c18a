import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint, Update } from '../../../../src/model.ts';
import { isHostName } from '../../../../watchers/consul/service/host-names.ts';
import { Updates } from '../../../../watchers/consul/service/updates.ts';
import { Hosts } from '../../../../watchers/kit/hosts.ts';

test('a host name is told from an address in any form, and from nonsense', () => {
  for (const name of ['db.example.com', 'localhost', 'a_b.internal.', 'x--y.de', '1a.example'])
    assert.ok(isHostName(name), name);
  for (const other of [
    ...['10.0.0.1', '::1', '127.1', '0x7f.1', '1.2.3.0x4', '017700000001', '', '.', '-a.example', 'a..b', 'a b', 'a/b'],
    ...['x'.repeat(64), `${'a.'.repeat(127)}com`, 'a\n.example', 'tcp@db', '[::1]'],
  ])
    assert.ok(!isHostName(other), other);
});

function at(id: string, address: string): Endpoint {
  return { id, address, port: 5432, weight: 1, state: 'ready' };
}

type Zone = Readonly<Record<string, readonly string[]>>;

/** What was told of the request `db`, in a line each: endpoints by id and address, then what is left out. */
async function naming(zone: Zone, how: { hostNames?: 'refuse' | 'resolve'; maxServers?: number } = {}) {
  const told: string[] = [];
  const lookUp = (host: string) =>
    zone[host] === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(zone[host]);
  const hosts = new Hosts({ lookUp });
  const emit = (update: Update): void => {
    if (update.kind === 'stale') told.push(`stale ${update.reason} ${update.isUnanswerable}`);
    if (update.kind !== 'endpoints') return;
    const { endpoints, unreadable = [], unfit = [] } = update;
    const served = endpoints.map(({ id, address }) => `${id}=${address}`).join();
    const left = unreadable.map(({ id, reason }) => ` | ${id}: ${reason}`).join('');
    told.push(`${served}${unfit.map(({ id, address }) => ` unfit ${id}=${address}`).join('')}${left}`);
  };
  const its = new Updates({ settings: { hostNames: 'resolve', maxServers: 1000, ...how }, hosts, emit });
  return {
    hosts,
    async says(endpoints: readonly Endpoint[], unfit: readonly Endpoint[] = []): Promise<readonly string[]> {
      its.received('db', { endpoints, unfit, unreadable: [] });
      for (let turn = 0; turn < 30; turn++) await Promise.resolve();
      return told.splice(0);
    },
  };
}

test('a name of one address keeps the server’s name, of several each is a server of its own', async () => {
  const { hosts, says } = await naming({
    one: ['10.0.0.1'],
    two: ['10.0.0.2', 'fd00::2', '10.0.0.3'],
    six: ['fd00::6'],
  });
  await using _ = hosts;
  const all = [at('n:a', 'one'), at('n:b', 'two'), at('n:c', 'six'), at('n:d', '10.0.0.4')];
  assert.deepEqual(await says(all), [
    'n:a=10.0.0.1,n:b@10.0.0.2=10.0.0.2,n:b@10.0.0.3=10.0.0.3,n:c=fd00::6,n:d=10.0.0.4',
  ]);
  assert.deepEqual(
    await says([], [at('n:b', 'two')]),
    [' unfit n:b@10.0.0.2=10.0.0.2 unfit n:b@10.0.0.3=10.0.0.3'],
    'who turns unfit is known by the servers that were made of it',
  );
});

test('a name that cannot be resolved is left out alone, and nobody else is no reason for an empty service', async () => {
  const { hosts, says } = await naming({});
  await using _ = hosts;
  assert.deepEqual(await says([at('n:a', 'gone'), at('n:d', '10.0.0.4')]), [
    'n:d=10.0.0.4 | n:a: cannot resolve "gone": ENOTFOUND',
  ]);
  assert.deepEqual(await says([at('n:a', 'gone')]), ['stale cannot resolve "gone": ENOTFOUND true']);
});

test('what changes of the others does not wait for a new name', async () => {
  const { hosts, says } = await naming({ one: ['10.0.0.1'] });
  await using _ = hosts;
  assert.deepEqual(await says([at('n:d', '10.0.0.4'), at('n:e', '10.0.0.5')]), ['n:d=10.0.0.4,n:e=10.0.0.5']);
  assert.deepEqual(await says([at('n:a', 'one'), at('n:d', '10.0.0.4')]), [
    'n:d=10.0.0.4',
    'n:a=10.0.0.1,n:d=10.0.0.4',
  ]);
  assert.deepEqual(await says([at('n:a', 'one')]), ['n:a=10.0.0.1']);
});

test('of more names than servers that are wanted the others are not looked up', async () => {
  const { hosts, says } = await naming({ one: ['10.0.0.1'], two: ['10.0.0.2'] }, { maxServers: 1 });
  await using _ = hosts;
  assert.deepEqual(await says([at('n:a', 'one'), at('n:b', 'two')]), [
    'n:a=10.0.0.1 | n:b: no more than 1 names are looked up (maxServers)',
  ]);
});

test('names are refused with the line that allows them', async () => {
  const { hosts, says } = await naming({ one: ['10.0.0.1'] }, { hostNames: 'refuse' });
  await using _ = hosts;
  assert.deepEqual(await says([at('n:a', 'one'), at('n:d', '10.0.0.4')]), [
    'n:d=10.0.0.4 | n:a: its address is the host "one"; to accept it, write hostNames: resolve',
  ]);
});
