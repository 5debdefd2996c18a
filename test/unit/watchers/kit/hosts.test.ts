import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Host, Hosts, ofFamily } from '../../../../watchers/kit/hosts.ts';

type Answer = readonly string[] | Error;

/** Lookups that are answered when the test says so; the clock is the test's. */
function resolver(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const asked: string[] = [];
  const waiting: ((answer: Answer) => void)[] = [];
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    asked,
    lookUp(host: string): Promise<readonly string[]> {
      asked.push(host);
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      waiting.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      return promise;
    },
    async answer(answer: Answer): Promise<void> {
      waiting.shift()?.(answer);
      await settled();
    },
    async pass(ms: number): Promise<void> {
      t.mock.timers.tick(ms);
      await settled();
    },
  };
}

const notFound = new Error('ENOTFOUND');

function resolvedTo(addresses: readonly string[], trouble: string | null = null): Host {
  return { kind: 'resolved', addresses, trouble };
}

test('a name is looked up again and again, once for all who follow it, and they are told of what changed', async (t) => {
  const { lookUp, asked, answer, pass } = resolver(t);
  await using hosts = new Hosts({ lookUp });
  let changes = 0;
  for (const who of ['a', 'b']) hosts.follow(who, new Set(['db']), () => (changes += 1));
  assert.deepEqual(hosts.get('db'), { kind: 'awaited' });
  await answer(['10.0.0.2', '10.0.0.1', '10.0.0.2']);
  assert.deepEqual(hosts.get('db'), resolvedTo(['10.0.0.1', '10.0.0.2']));
  assert.equal(changes, 2);
  await pass(10_000);
  await answer(['10.0.0.1', '10.0.0.2']);
  assert.equal(changes, 2, 'another order is no news');
  hosts.end('a');
  await pass(10_000);
  await answer(['10.0.0.3']);
  assert.equal(changes, 3);
  hosts.end('b');
  await pass(60_000);
  assert.equal(asked.length, 3, 'nobody follows it any more');
});

test('a name that cannot be resolved any more keeps its last addresses, also over a failure of the source', async (t) => {
  const { lookUp, answer, pass } = resolver(t);
  const memory = new Map<string, readonly string[]>();
  const trouble = 'cannot resolve "db": ENOTFOUND';
  {
    await using hosts = new Hosts({ lookUp, memory });
    hosts.follow('a', new Set(['db', 'never']), () => {});
    await answer(['10.0.0.1']);
    await answer(notFound);
    assert.deepEqual(hosts.get('never'), { kind: 'unresolved', reason: 'cannot resolve "never": ENOTFOUND' });
    await pass(10_000);
    await answer(notFound);
    assert.deepEqual(hosts.get('db'), resolvedTo(['10.0.0.1'], trouble));
  }
  await using again = new Hosts({ lookUp, memory });
  again.follow('a', new Set(['db']), () => {});
  await answer(notFound);
  await answer(notFound);
  assert.deepEqual(again.get('db'), resolvedTo(['10.0.0.1'], trouble));
});

test('a resolver that hangs is not waited for, nor asked the same again, nor in the way of the end', async (t) => {
  const { lookUp, asked, answer, pass } = resolver(t);
  const hosts = new Hosts({ lookUp });
  hosts.follow('a', new Set(['db']), () => {});
  await pass(5000);
  assert.deepEqual(hosts.get('db'), { kind: 'unresolved', reason: 'cannot resolve "db": no answer within 5 s' });
  await pass(10_000);
  assert.equal(asked.length, 1);
  await answer(['10.0.0.1']);
  assert.deepEqual(hosts.get('db'), resolvedTo(['10.0.0.1']), 'its answer counts, however late');
  await pass(10_000);
  assert.equal(asked.length, 2);
  await hosts[Symbol.asyncDispose]();
});

test('of the families the preferred one is used where there is any of it', () => {
  const both = ['10.0.0.1', 'fd00::1'];
  assert.deepEqual(ofFamily(both, 'prefer4'), ['10.0.0.1']);
  assert.deepEqual(ofFamily(both, 'prefer6'), ['fd00::1']);
  assert.deepEqual(ofFamily(both, 'both'), both);
  assert.deepEqual(ofFamily(['fd00::1'], 'prefer4'), ['fd00::1']);
});
