/** What is told of a thousand services by two requests: which of them changed, and who is asked then. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConsulResponse, ListRequest } from '../../../../watchers/consul/agent/client.ts';
import {
  changesOf,
  movedWith,
  readChecks,
  readNode,
  readNodes,
} from '../../../../watchers/consul/catalog/catalog-lists.ts';
import { ChangeFeed } from '../../../../watchers/consul/catalog/change-feed.ts';
import { type Changed, Schedule } from '../../../../watchers/consul/catalog/schedule.ts';
import type { ServiceResult } from '../../../../watchers/consul/service/result.ts';
import { until } from '../../../support/index.ts';

type Check = readonly [node: string, id: string, status: string, service: string, index: number];

function checks(...all: readonly Check[]) {
  return all.map(([Node, CheckID, Status, ServiceName, ModifyIndex]) => ({
    Node,
    CheckID,
    Status,
    ServiceName,
    ModifyIndex,
    Output: 'never looked at',
  }));
}

function told(changed: Changed): unknown {
  return changed === 'all' ? 'all' : Object.fromEntries(changed);
}

const two = checks(['n1', 'serf', 'passing', '', 1], ['n1', 'a', 'passing', 'web', 2], ['n1', 'b', 'passing', 'db', 3]);

test('a check that comes, goes or turns is a change of its service, up to its index where it has one', () => {
  const changes = (...after: readonly Check[]) =>
    told(changesOf(readChecks(two), readChecks([...two.slice(0, 1), ...checks(...after)]), null));
  assert.deepEqual(
    changes(['n1', 'a', 'passing', 'web', 9], ['n1', 'b', 'passing', 'db', 3]),
    {},
    'as its output does',
  );
  assert.deepEqual(changes(['n1', 'a', 'critical', 'web', 9], ['n1', 'b', 'passing', 'db', 3]), { web: 9n });
  assert.deepEqual(changes(['n1', 'b', 'passing', 'db', 3]), { web: null });
  assert.deepEqual(
    changes(['n1', 'a', 'warning', 'web', 9], ['n1', 'b', 'passing', 'db', 3], ['n2', 'c', 'passing', 'web', 8]),
    { web: 9n },
  );
});

test('a check of a node is a change of all services on it', () => {
  const failed = readChecks([...checks(['n1', 'serf', 'critical', '', 7]), ...two.slice(1)]);
  const instances = readNode('n1', { Services: { x: { Service: 'bare', ModifyIndex: 4 } } });
  assert.deepEqual(told(changesOf(readChecks(two), failed, instances)), { web: null, db: null, bare: null });
  assert.equal(changesOf(readChecks(two), failed, null), 'all', 'who is on it without a check is not known');
  const joined = readChecks([...two, ...checks(['n2', 'serf', 'passing', '', 7])]);
  assert.deepEqual(told(changesOf(readChecks(two), joined, instances)), {}, 'a new one has nobody yet');
  const there = readNode('n2', { Services: { y: { Service: 'external', ModifyIndex: 4 } } });
  assert.deepEqual(told(changesOf(readChecks(two), joined, there)), { external: null }, 'its first check');
  assert.equal(changesOf(readChecks(two), joined, null), 'all');
});

test('an instance that is registered anew under another name is a change of both services', () => {
  const renamed = readChecks([...two.slice(0, 2), ...checks(['n1', 'b', 'passing', 'queue', 9])]);
  assert.deepEqual(told(changesOf(readChecks(two), renamed, null)), { queue: 9n, db: null });
  const before = readNode('n1', { Services: { x: { Service: 'web', ModifyIndex: 4 } } });
  const after = readNode('n1', { Services: { x: { Service: 'api', ModifyIndex: 5 } } });
  assert.deepEqual(told(changesOf(before, after, null)), { api: 5n, web: null });
});

test('a check of an instance that has another name since is a change of the service that it is of now', () => {
  const ofWeb = (Status: string) =>
    readChecks([{ Node: 'n1', CheckID: 'c', Status, ServiceName: 'web', ServiceID: 'x', ModifyIndex: 7 }]);
  const instances = readNode('n1', { Services: { x: { Service: 'api', ModifyIndex: 5 } } });
  assert.deepEqual(told(changesOf(ofWeb('passing'), ofWeb('critical'), instances)), { web: 7n, api: 7n });
  assert.deepEqual(told(changesOf(ofWeb('critical'), readChecks([]), instances)), { web: null, api: null });
});

test('another address of a node is a change of all services on it', () => {
  const before = readNodes([
    { Node: 'n1', Address: '10.0.0.1' },
    { Node: 'n2', Address: '10.0.0.2' },
  ]);
  const after = readNodes([
    { Node: 'n1', Address: '10.0.0.9' },
    { Node: 'n3', Address: '10.0.0.3' },
  ]);
  const instances = readNode('n1', { Services: { x: { Service: 'bare', ModifyIndex: 4 } } });
  const changed = movedWith(before, after, readChecks(two), instances);
  assert.deepEqual(told(changed), { web: null, db: null, bare: null });
  assert.equal(movedWith(before, after, readChecks(two), null), 'all');
  assert.deepEqual(told(movedWith(before, before, readChecks(two), null)), {});
});

test('names are the same in whatever capitals, as Consul takes them', async (t) => {
  const failed = readChecks([...checks(['N1', 'serf', 'critical', '', 7]), ...two.slice(1)]);
  assert.deepEqual(told(changesOf(readChecks(two), failed, new Map())), { web: null, db: null });
  const schedule = new Schedule(() => 200);
  t.after(() => schedule.end());
  const next = schedule.join('', 'WEB', new AbortController().signal);
  schedule.setFeed('', true);
  await next(known(5n));
  const resting = next(known(5n));
  schedule.changed('', changesOf(readChecks([]), readChecks(checks(['n1', 'a', 'passing', 'Web', 9])), null));
  assert.equal(await resting, 2000);
});

test('what is no list of the catalog is refused', () => {
  for (const body of [null, {}, [1], [{ Node: 'n' }], '<html>']) assert.throws(() => readChecks(body), /not a list/);
  for (const body of [[], 'x', { Services: { a: {} } }]) assert.throws(() => readNode('n', body), /not a list/);
  assert.equal(readNode('n', null).size, 0, 'a node that is gone');
});

const known = (index: bigint): ServiceResult => ({
  index,
  endpoints: [],
  unfit: [],
  oldest: null,
  instances: 0,
  isFiltered: false,
  unreadable: [],
});

/** Whether it is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  await new Promise(setImmediate);
  return Promise.race([promise.then(() => true), new Promise<false>((resolve) => setImmediate(() => resolve(false)))]);
}

test('a service rests until it is named, and again once its answer is as new as what was told', async (t) => {
  const schedule = new Schedule(() => 200);
  t.after(() => schedule.end());
  const next = schedule.join('', 'web', new AbortController().signal);
  assert.equal(await next(known(5n)), 200, 'without a feed all take turns');
  schedule.setFeed('', true);
  assert.equal(await next(known(5n)), 100, 'what changed before the feed began is looked at once');
  const resting = next(known(5n));
  assert.ok(!(await isSettled(resting)));
  schedule.changed('', new Map([['db', 9n]]));
  schedule.changed('far', 'all');
  assert.ok(!(await isSettled(resting)));
  schedule.changed('', new Map([['web', 9n]]));
  assert.equal(await resting, 2000);
  assert.equal(await next(known(7n)), 2000, 'the server that answered did not know of it yet');
  const again = next(known(9n));
  assert.ok(!(await isSettled(again)));
  schedule.changed('', new Map([['web', 8n]]));
  assert.ok(!(await isSettled(again)), 'what its answer has seen already is no news');
  schedule.setFeed('', false);
  assert.equal(await again, 200);
});

test('what was told before the index went back is no reason to believe that a change after it is known', async (t) => {
  const schedule = new Schedule(() => 200);
  t.after(() => schedule.end());
  const next = schedule.join('', 'web', new AbortController().signal);
  schedule.setFeed('', true);
  schedule.changed('', new Map([['web', 9n]]));
  assert.equal(await next(known(5000n)), 2000, 'of a catalog that was restored');
  assert.ok(!(await isSettled(next(known(9n)))));
});

/** A datacenter whose lists a test writes. */
class Lists {
  readonly #bodies: Record<string, unknown> = { checks: [], services: {}, nodes: [] };
  readonly #index: Record<string, number> = { checks: 1, services: 1, nodes: 1 };
  readonly #waiting = new Set<() => void>();
  #restored = 0;
  isDown = false;
  readonly asked: ListRequest[] = [];

  put(what: string, body: unknown): void {
    this.#bodies[what] = body;
    this.#index[what] = (this.#index[what] ?? 0) + 1;
    for (const wake of this.#waiting) wake();
  }

  async list(request: ListRequest, signal: AbortSignal): Promise<ConsulResponse> {
    this.asked.push(request);
    const what = request.what === 'node' ? `node ${request.node}` : request.what;
    const restored = this.#restored;
    let index = this.#index[what] ?? 1;
    while (
      !this.isDown &&
      request.index !== undefined &&
      this.#restored === restored &&
      Number(request.index) >= (this.#index[what] ?? 0)
    ) {
      if (signal.aborted) throw new Error('aborted');
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    if (this.isDown) throw new Error('down');
    if (this.#restored === restored) index = this.#index[what] ?? 1;
    const body = structuredClone(this.#bodies[what]);
    const isFiltered = request.what === 'checks' && request.filter === 'Status != "passing"' && Array.isArray(body);
    return {
      headers: { 'x-consul-index': `${index}` },
      body: isFiltered ? body.filter(({ Status }) => Status !== 'passing') : body,
    };
  }

  /** Whoever waits is answered as before, and what is asked for then has this index. */
  restore(what: string, index: number): void {
    this.#restored += 1;
    this.#index[what] = index;
    for (const wake of this.#waiting) wake();
  }

  fail(): void {
    this.isDown = true;
    for (const wake of this.#waiting) wake();
  }
}

function feeding(lists: Lists, services: number) {
  const stop = new AbortController();
  const changes: unknown[] = [];
  const states: boolean[] = [];
  const feed = new ChangeFeed({
    list: (request) => lists.list(request, stop.signal),
    services: () => services,
    waitMs: 60_000,
    onChange: (changed) => changes.push(told(changed)),
    onUp: (isFed) => states.push(isFed),
    signal: stop.signal,
  });
  const ended = feed.run();
  return {
    feed,
    changes,
    states,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

// They wait, for what is asked at most so often: side by side.
describe('in time', { concurrency: true }, () => {
  test('after an answer that was news a service is asked once more, as what it saw may be gone again', {
    timeout: 20_000,
  }, async (t) => {
    const schedule = new Schedule(() => 200);
    t.after(() => schedule.end());
    const next = schedule.join('', 'web', new AbortController().signal);
    schedule.setFeed('', true);
    await next(known(5n));
    const answer = known(6n);
    assert.equal(await next(answer), 100);
    assert.ok(!(await isSettled(next(answer))));
  });

  test('a change that is told while its service is being asked is not lost', { timeout: 20_000 }, async (t) => {
    const schedule = new Schedule(() => 200);
    t.after(() => schedule.end());
    const next = schedule.join('', 'web', new AbortController().signal);
    schedule.setFeed('', true);
    await next(known(5n));
    schedule.changed('', new Map([['web', null]]));
    assert.equal(await next(known(5n)), 2000);
    schedule.changed('', 'all');
    assert.equal(await next(known(6n)), 100);
    assert.ok(!(await isSettled(next(known(6n)))));
  });

  test('a change of a check names its service; what is registered without one is found in the lists of the nodes', async () => {
    const lists = new Lists();
    lists.put('checks', two);
    lists.put('nodes', [{ Node: 'n1', Address: '10.0.0.1' }]);
    lists.put('node n1', { Services: { w: { Service: 'web', ModifyIndex: 2 } } });
    await using my = feeding(lists, 100);
    await until('it is fed', () => my.states.at(-1) === true);
    lists.put('checks', [...two.slice(0, 2), ...checks(['n1', 'b', 'critical', 'db', 12])]);
    await until('the check is told', () => my.changes.length === 1);
    lists.put('node n1', {
      Services: { w: { Service: 'web', ModifyIndex: 13 }, x: { Service: 'bare', ModifyIndex: 14 } },
    });
    lists.put('services', {});
    await until('the registrations are told', () => my.changes.length === 2);
    lists.put('services', {});
    await until('what cannot be found may be anywhere', () => my.changes.length === 3);
    assert.deepEqual(my.changes, [{ db: 12n }, { web: 13n, bare: 14n }, 'all']);
    const looks = (): number => lists.asked.filter(({ what }) => what === 'node').length;
    const before = looks();
    lists.put('services', {});
    await until('it is looked for once more', () => looks() === before + 2);
    lists.put('node n1', { Services: { w: { Service: 'web', ModifyIndex: 20 } } });
    lists.put('services', {});
    await until('what is found is told', () => my.changes.length === 4);
    assert.deepEqual(
      my.changes[3],
      { web: 20n, bare: null },
      'and not all are looked at each time somebody else registers',
    );
  });

  test('an instance that comes with a check is found in the list of all checks; the lists of the nodes are read later', async () => {
    const lists = new Lists();
    lists.put('checks', two);
    await using my = feeding(lists, 100);
    await until('it is fed', () => my.states.at(-1) === true);
    const asked = lists.asked.length;
    lists.put('checks', [...two, ...checks(['n1', 'c', 'passing', 'new', 12])]);
    lists.put('services', {});
    await until('it is told', () => my.changes.length === 1);
    assert.deepEqual(my.changes, [{ new: 12n }]);
    assert.ok(lists.asked.slice(asked).some(({ what, index, filter }) => what === 'checks' && !index && !filter));
    assert.ok(lists.asked.slice(asked).every(({ what }) => what !== 'node'));
  });

  test('what another list has explained is not looked for at once', async () => {
    const lists = new Lists();
    lists.put('checks', two);
    lists.put('nodes', [{ Node: 'n1', Address: '10.0.0.1' }]);
    lists.put('node n1', { Services: {} });
    await using my = feeding(lists, 100);
    await until('it is fed', () => my.states.at(-1) === true);
    const asked = lists.asked.length;
    my.feed.registered(true);
    lists.put('node n1', { Services: { w: { Service: 'web', ModifyIndex: 2 } } });
    lists.put('services', {});
    await until('the others are found', () => my.changes.length === 1, { withinMs: 10_000 });
    assert.deepEqual(my.changes, [{ web: 2n }]);
    assert.ok(lists.asked.slice(asked).every(({ what, index }) => what !== 'checks' || index !== undefined));
  });

  test('a query that comes back before its time and without news is asked again without an index, which shows a restored catalog', async () => {
    const lists = new Lists();
    lists.put('services', {});
    await using my = feeding(lists, 100);
    await until('it is fed, and waits for what is next', () =>
      lists.asked.some(({ what, index }) => what === 'services' && index !== undefined),
    );
    lists.restore('services', 1);
    await until('it begins anew', () => my.states.join() === 'true,false,true', { withinMs: 10_000 });
    const asked = (kind: string): number => lists.asked.filter(({ what }) => what === kind).length;
    assert.ok(asked('nodes') > 2, 'the others were asked again as well');
  });

  test('of more nodes than it is worth no list is read: anything may have changed', async () => {
    const lists = new Lists();
    lists.put('nodes', [
      { Node: 'n1', Address: '10.0.0.1' },
      { Node: 'n2', Address: '10.0.0.2' },
    ]);
    await using my = feeding(lists, 4);
    await until('it is fed', () => my.states.at(-1) === true);
    lists.put('services', {});
    await until('it is told', () => my.changes.at(-1) === 'all');
    assert.ok(lists.asked.every(({ what }) => what !== 'node'));
  });

  test('while a list fails nothing is told, and that is known', async () => {
    const lists = new Lists();
    await using my = feeding(lists, 4);
    await until('it is fed', () => my.states.at(-1) === true);
    lists.fail();
    await until('it is fed no longer', () => my.states.at(-1) === false);
    lists.isDown = false;
    await until('it is fed again', () => my.states.at(-1) === true);
  });
});
