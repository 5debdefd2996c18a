import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../../src/model.ts';
import type { ConsulResponse, HealthRequest } from '../../../../watchers/consul/agent/client.ts';
import type { Failure } from '../../../../watchers/consul/agent/failure.ts';
import { BlockingQueries } from '../../../../watchers/consul/service/blocking-queries.ts';
import { follow } from '../../../../watchers/consul/service/follow.ts';
import { indexOf, type ServiceResult } from '../../../../watchers/consul/service/result.ts';

type Script = (request: HealthRequest) => ConsulResponse | Error;

/** Follows `web` at an agent that answers from `script`; ends, after its last line, with the requests and what came of them. */
async function run(
  script: readonly Script[],
  {
    hasToken = false,
    stale = true,
    remembered,
    blocking = new BlockingQueries(),
  }: { hasToken?: boolean; stale?: boolean; remembered?: ServiceResult; blocking?: BlockingQueries } = {},
) {
  const stop = new AbortController();
  const requests: HealthRequest[] = [];
  const timeouts: number[] = [];
  const said: (readonly Endpoint[])[] = [];
  const failures: Failure[] = [];
  const hidden: (string | null)[] = [];
  let known: ServiceResult | undefined;
  const lines = script.values();
  await follow({
    query: { tags: [], stale, warning: 'use' },
    request: { service: 'web' },
    hasToken,
    send: (request, timeoutMs) => {
      const line = lines.next().value;
      if (line === undefined) {
        stop.abort();
        return Promise.reject(stop.signal.reason);
      }
      requests.push(request);
      timeouts.push(timeoutMs);
      const result = line(request);
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
    },
    blocking,
    permit: () => Promise.resolve({ [Symbol.dispose]: () => {} }),
    waitMs: 60_000,
    last: remembered,
    onResult: (now) => {
      known = now;
      said.push(now.endpoints);
      hidden.push(now.unreadable[0]?.reason ?? null);
    },
    onFailure: (failure) => failures.push(failure),
    signal: stop.signal,
  });
  return { requests, timeouts, served: said.map((list) => list.map(({ port }) => port)), failures, hidden, known };
}

function answer(index: string | undefined, ports: readonly number[], headers: object = {}): Script {
  const body = ports.map((Port) => ({
    Node: { Node: 'n', Address: '10.0.0.1' },
    Service: { ID: `web-${Port}`, Port },
    Checks: [],
  }));
  return () => ({ headers: { ...(index === undefined ? {} : { 'x-consul-index': index }), ...headers }, body });
}

test('the first request is answered at once, each further one waits for an index beyond the last', async () => {
  const { requests, served } = await run([answer('10', [1]), answer('12', [1, 2]), answer('13', [2])]);
  assert.deepEqual(served, [[1], [1, 2], [2]]);
  assert.deepEqual(
    requests.map(({ index }) => index),
    [undefined, '10', '12'],
  );
  assert.deepEqual(requests[0], { service: 'web', stale: true });
  const [first = 0, second] = requests.slice(1).map(({ wait }) => Number(/^(\d+)ms$/.exec(wait ?? '')?.[1]));
  assert.ok(first > 0 && first <= 60_000, 'those of many services are spread');
  assert.ok(second !== undefined && second >= 54_000 && second <= 60_000);
});

test('an answer is waited for longer than the agent may take, a sixteenth more than it was asked to', async () => {
  const { timeouts, requests } = await run([answer('10', [1]), answer('11', [2])]);
  const waitMs = Number.parseInt(requests[1]?.wait ?? '', 10);
  assert.equal(timeouts[0], 6000);
  assert.ok(Math.abs((timeouts[1] ?? 0) - (6000 + (waitMs * 17) / 16)) < 2);
});

test('an index beyond what a JavaScript number can hold is kept to the last digit', async () => {
  const { requests } = await run([answer('18446744073709551614', [1]), answer('18446744073709551615', [2])]);
  assert.equal(requests[1]?.index, '18446744073709551614');
});

test('an index of 0 is asked for as 1, and one that is missing or no number is none', () => {
  assert.equal(indexOf('0'), 1n);
  assert.equal(indexOf(undefined), undefined);
  assert.equal(indexOf('-1'), undefined);
  assert.equal(indexOf('1e9'), undefined);
});

test('without an index the service is polled', async () => {
  const { requests, served } = await run([answer(undefined, [1]), answer(undefined, [2])]);
  assert.deepEqual(served, [[1], [2]]);
  assert.deepEqual(requests[1], { service: 'web', stale: true });
});

test('an answer with an index that went back counts only as the leader repeats it', async () => {
  const { requests, served } = await run([answer('10', [1, 2]), answer('5', [1]), answer('11', [1, 2, 3])]);
  assert.deepEqual(served, [
    [1, 2],
    [1, 2, 3],
  ]);
  assert.deepEqual(requests[2], { service: 'web', consistent: true });
});

test('an empty list counts only once a consistent read has said the same', async () => {
  const { requests, served } = await run([answer('10', [1]), answer('11', []), answer('11', []), answer('12', [])]);
  assert.deepEqual(served, [[1], [], []], 'and need not be confirmed again while it stays empty');
  assert.deepEqual(requests[2], { service: 'web', consistent: true });
  assert.equal(requests[3]?.index, '11');
});

test('an empty list that the consistent read does not confirm is not told', async () => {
  const { served } = await run([answer('10', [1]), answer('1', []), answer('11', [1])]);
  assert.deepEqual(served, [[1], [1]]);
});

test('an answer whose index stands still says nothing new, and nothing of it is told', async () => {
  const { served } = await run([answer('10', [1, 2]), answer('10', [1, 2]), answer('11', [2])]);
  assert.deepEqual(served, [[1, 2], [2]]);
});

test('a query that comes back before its time and without news is followed by one that shows what there is now, whatever its index', async () => {
  const { requests, served } = await run([
    answer('10', [1, 2]),
    answer('10', [1, 2]),
    answer('4', [1]),
    answer('4', [1]),
  ]);
  assert.deepEqual(requests.slice(2), [
    { service: 'web', stale: true },
    { service: 'web', consistent: true },
  ]);
  assert.deepEqual(served, [[1, 2], [1]], 'of a snapshot that was restored');
});

test('what shows that the catalog is another one ends the queries about other services as well', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ended = async (...script: readonly Script[]): Promise<boolean> => {
    const blocking = new BlockingQueries();
    using other = blocking.begin();
    const running = run([answer('10', [1]), ...script], { blocking });
    for (let at = 0; at < 100; at++) {
      await new Promise(setImmediate);
      t.mock.timers.tick(100);
    }
    await running;
    return other.signal.aborted;
  };
  assert.equal(await ended(answer('11', [2])), false);
  assert.equal(await ended(answer('10', [1])), true, 'it came back without news');
  assert.equal(await ended(answer('9', [1]), answer('9', [1])), true, 'its index went back');
  assert.equal(await ended(answer('9', [1]), answer('11', [1])), false, 'the leader says that it did not');
});

test('fewer endpoints under an index that stands still count only as the leader repeats them', async () => {
  const filtered = answer('10', [], { 'x-consul-results-filtered-by-acls': 'true' });
  const lost = await run([answer('10', [1, 2]), answer('10', []), filtered], { hasToken: true });
  assert.deepEqual(lost.requests[2], { service: 'web', consistent: true });
  assert.deepEqual(lost.served, [[1, 2]]);
  assert.match(lost.failures[0]?.reason ?? '', /may not see "web"/);
  const kept = await run([answer('10', [1, 2]), answer('10', [1]), answer('10', [1, 2])], { hasToken: true });
  assert.deepEqual(kept.served, [
    [1, 2],
    [1, 2],
  ]);
});

test('the answer of a server that has lost its leader is asked for again at the leader', async () => {
  const { served, requests } = await run([
    answer('10', [1], { 'x-consul-knownleader': 'false' }),
    answer('11', [2]),
    answer('12', [3], { 'x-consul-lastcontact': '60000' }),
    answer('12', [4]),
  ]);
  assert.deepEqual(served, [[2], [4]]);
  assert.equal(requests[1]?.consistent, true);
});

test('the streaming backend of an agent never knows a leader, and is believed', async () => {
  const { served } = await run([
    answer('10', [1], { 'x-consul-knownleader': 'false', 'x-consul-query-backend': 'streaming' }),
  ]);
  assert.deepEqual(served, [[1]]);
});

test('after a failure the service is asked for anew, without an index', async () => {
  const { requests, served, failures } = await run([answer('10', [1]), () => new Error('down'), answer('10', [1])]);
  assert.deepEqual(served, [[1], [1]]);
  assert.deepEqual(
    failures.map(({ reason }) => reason),
    ['down'],
  );
  assert.deepEqual(requests[2], { service: 'web', stale: true });
});

test('after a failure an index that is lower than before it counts only as the leader repeats it', async () => {
  const down: Script = () => new Error('down');
  const { requests, served, failures } = await run([
    answer('10', [1, 2, 3]),
    down,
    answer('9', [1]),
    answer('12', [1, 2]),
  ]);
  assert.deepEqual(requests[3], { service: 'web', consistent: true });
  assert.deepEqual(
    [served, failures.length],
    [
      [
        [1, 2, 3],
        [1, 2],
      ],
      1,
    ],
  );
});

test('fewer endpoints under the index from before a failure count only as the leader repeats them', async () => {
  const { served } = await run([
    answer('10', [1, 2]),
    () => new Error('down'),
    answer('10', [1]),
    answer('10', [1, 2]),
  ]);
  assert.deepEqual(served, [
    [1, 2],
    [1, 2],
  ]);
});

test('what was known when the source failed is what its first answers have to measure up to', async () => {
  const { known } = await run([answer('1000', [1, 2, 3])]);
  assert.ok(known);
  const { requests, served } = await run([answer('900', [1]), answer('1001', [1, 2, 3])], { remembered: known });
  assert.deepEqual(requests, [
    { service: 'web', stale: true },
    { service: 'web', consistent: true },
  ]);
  assert.deepEqual(served, [[1, 2, 3]]);
});

test('a token that loses a part of its rights removes nobody, and the failure names the rights', async () => {
  const filtered = { 'x-consul-results-filtered-by-acls': 'true' };
  const lost = await run([answer('10', [1, 2]), answer('12', [1], filtered), answer('13', [1], filtered)], {
    hasToken: true,
  });
  assert.deepEqual(lost.served, [[1, 2]]);
  for (const { reason } of lost.failures) assert.match(reason, /may not see all of "web".*service:read.*node:read/);
  assert.equal(lost.failures.length, 2);
  const more = await run([answer('10', [1]), answer('12', [1, 2], filtered)], { hasToken: true });
  assert.deepEqual(more.served, [[1], [1, 2]]);
});

test('a token that never showed all is told of, and those that it shows come and go', async () => {
  const filtered = { 'x-consul-results-filtered-by-acls': 'true' };
  const partly = await run([answer('10', [1, 2], filtered), answer('11', [1], filtered), answer('12', [1, 2])], {
    hasToken: true,
  });
  assert.deepEqual(partly.served, [[1, 2], [1], [1, 2]]);
  const [first, second, third] = partly.hidden;
  assert.match(first ?? '', /shows only some instances of "web".*node:read/);
  assert.deepEqual([second, third], [first, null]);
});

test('an empty list because of missing rights is a failure that names them', async () => {
  const filtered = await run([answer('10', [], { 'x-consul-results-filtered-by-acls': 'true' })], { hasToken: true });
  assert.deepEqual(filtered.served, []);
  assert.match(filtered.failures[0]?.reason ?? '', /service:read.*node:read/);
  const anonymous = await run([answer('10', [], { 'x-consul-default-acl-policy': 'deny' })]);
  assert.deepEqual(anonymous.served, []);
  assert.match(anonymous.failures[0]?.reason ?? '', /without a token/);
  const absent = answer('10', [], { 'x-consul-default-acl-policy': 'deny' });
  assert.deepEqual((await run([absent, absent], { hasToken: true })).served, [[]]);
});

test('the leader alone is asked where the query says so', async () => {
  const { requests } = await run([answer('10', [1])], { stale: false });
  assert.deepEqual(requests, [{ service: 'web' }]);
});
