/** The suite that every watcher passes, yours as well: see docs/watchers/writing-a-watcher.md. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import type { Query, Watch } from '../../src/model.ts';
import { type Source, withCommon } from '../kit/source.ts';
import { type Listening, listen } from './listen.ts';
import { until } from './until.ts';

export { type DiscoverySubject, discoversByTheContract } from './discovery-contract.ts';

/** A watcher of this source, with settings as they are written in `myelin.yaml`. Rejects where these are not valid. */
export async function watchOf(
  source: Source,
  settings: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv = {},
): Promise<Watch> {
  const parsed = withCommon(source.settings).parse(settings) as Parameters<Source['open']>[0];
  return source.open(parsed, { env, onSecret: () => {}, signal: new AbortController().signal });
}

/** A watcher with its source, both new, and hands on the source. */
export type Subject = AsyncDisposable & {
  readonly watch: Watch;
  /** Settings of the query for `service`. */
  settings(service: string): unknown;
  /** Makes the source say that these `ADDRESS:PORT`, and no others, serve `service`. */
  put(service: string, addresses: readonly string[]): Promise<void>;
  /** A source that judges: these of `service`, all of which are there, are unfit to serve now. */
  readonly judge?: (service: string, unfit: readonly string[]) => Promise<void>;
  /** Makes the source fail until `mend`. */
  fail(): Promise<void>;
  mend(): Promise<void>;
  /** Says for one read only that nobody serves `service`, while in truth that does not change. */
  flicker(service: string): Promise<void>;
  /** For a source that is reached over connections. */
  readonly connections?: {
    /** The number of connections that the watcher may open. */
    readonly budget: number;
    open(): number;
    most(): number;
    /** Makes every request stay unanswered and every connection stay open. */
    fallSilent(): Promise<void>;
  };
};

type Kind = {
  /** `throwing`: a new start may help. `staleness`: only waiting does, and every query becomes stale. */
  readonly failsBy: 'throwing' | 'staleness';
  readonly connections?: boolean;
  /** Two that the source takes for endpoints; nothing is sent to them. */
  readonly addresses?: readonly [string, string];
};

export function holdsTheContract(
  name: string,
  makeSubject: () => Promise<Subject>,
  { failsBy, connections = false, addresses: [web, other] = ['127.0.0.1:9001', '127.0.0.1:9002'] }: Kind,
): void {
  function watch(subject: Subject, services: readonly string[]): Listening {
    const queries: Query[] = services.map((service) => ({ key: `of ${service}`, settings: subject.settings(service) }));
    return listen((signal) => subject.watch(queries, signal));
  }

  test(`${name}: an update is the whole truth of a service, under the key of its query`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    await using heard = watch(subject, ['web']);
    await until('the endpoint is told', () => heard.served('of web')?.join() === web);
    await subject.put('web', [web, other]);
    await until('both are told', () => heard.served('of web')?.join() === [web, other].join());
    await subject.put('web', [other]);
    await until('the one that left is not told any more', () => heard.served('of web')?.join() === other);
  });

  test(`${name}: who is there and unfit to serve is told apart from who is not there`, async (t) => {
    await using subject = await makeSubject();
    if (subject.judge === undefined) return t.skip('this source does not judge');
    await subject.put('web', [web, other]);
    await using heard = watch(subject, ['web']);
    await until('both are told', () => heard.served('of web')?.length === 2);
    await subject.judge('web', [other]);
    await until('one is unfit', () => heard.served('of web')?.join() === web);
    assert.deepEqual(heard.unfit('of web'), [other]);
    await subject.judge('web', [web, other]);
    await until('both are', () => heard.served('of web')?.length === 0);
    assert.deepEqual(heard.unfit('of web'), [web, other]);
    await subject.put('web', [web]);
    await until('one is there', () => heard.unfit('of web')?.join('') === '' || heard.unfit('of web')?.length === 1);
    assert.ok(!heard.unfit('of web')?.includes(other));
  });

  test(`${name}: synced is said once, after every query has been answered`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    await subject.put('db', [other]);
    await using heard = watch(subject, ['web', 'db', 'nobody']);
    await until('synced', () => heard.count('synced') > 0);
    for (const service of ['web', 'db', 'nobody']) assert.ok(heard.served(`of ${service}`), service);
    assert.deepEqual(heard.served('of nobody'), []);
    await subject.put('web', [other]);
    await until('the change is told', () => heard.served('of web')?.join() === other);
    assert.equal(heard.count('synced'), 1);
    assert.ok(!heard.isOver, 'it does not end by itself: that would be a failure');
  });

  test(`${name}: without queries it is synced at once and waits to be stopped`, async () => {
    await using subject = await makeSubject();
    await using heard = watch(subject, []);
    await until('synced', () => heard.count('synced') === 1);
    await new Promise(setImmediate);
    assert.ok(!heard.isOver, 'it does not end by itself: that would be a failure');
    await heard.stop();
    assert.equal(heard.error, undefined);
  });

  test(`${name}: an empty list is told when it lasts, and not when a second read denies it`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    await using heard = watch(subject, ['web']);
    await until('the endpoint is told', () => heard.served('of web')?.join() === web);
    await subject.flicker('web');
    await subject.put('web', [web, other]);
    await until('the next change is told', () => heard.served('of web')?.length === 2);
    assert.ok(heard.said.every((update) => update.kind !== 'endpoints' || update.endpoints.length > 0));
    await subject.put('web', []);
    await until('nobody is there any more', () => heard.served('of web')?.length === 0);
  });

  test(`${name}: a failing source removes nothing, says so, and recovers`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    await subject.put('db', [other]);
    await using heard = watch(subject, ['web', 'db']);
    await until('synced', () => heard.count('synced') === 1);
    await subject.fail();
    const isStale = () => heard.staleReason('of web') !== null && heard.staleReason('of db') !== null;
    await until('the failure is told', () => (failsBy === 'throwing' ? heard.error !== undefined : isStale()));
    assert.deepEqual([heard.served('of web'), heard.served('of db')], [[web], [other]]);
    assert.equal(heard.count('gone'), 0);

    await subject.mend();
    await using again = failsBy === 'throwing' ? watch(subject, ['web', 'db']) : heard;
    await until(
      'the queries are answered again',
      () => again.staleReason('of web') === null && again.served('of web')?.join() === web,
    );
  });

  test(`${name}: an abort ends it promptly and leaves no listener, timer or open file behind`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    const before = resources();
    const abort = new AbortController();
    const queries: Query[] = ['web', 'nobody'].map((service) => ({
      key: service,
      settings: subject.settings(service),
    }));
    const synced = Promise.withResolvers<void>();
    const ended = (async () => {
      for await (const update of subject.watch(queries, abort.signal)) if (update.kind === 'synced') synced.resolve();
    })();
    await synced.promise;
    abort.abort();
    const abortedAt = performance.now();
    await ended;
    assert.ok(performance.now() - abortedAt < 1000, 'it ends within a second');
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    await until('nothing is left', () => resources() <= before);
    if (subject.connections !== undefined)
      await until('every connection is closed', () => subject.connections?.open() === 0);
  });

  test(`${name}: started with an aborted signal it ends without a word`, async () => {
    await using subject = await makeSubject();
    for await (const update of subject.watch([{ key: 'web', settings: subject.settings('web') }], AbortSignal.abort()))
      assert.equal(update, undefined);
  });

  if (!connections) return;

  test(`${name}: a source that has fallen silent is noticed`, async () => {
    await using subject = await makeSubject();
    await subject.put('web', [web]);
    await using heard = watch(subject, ['web']);
    await until('the endpoint is told', () => heard.served('of web')?.join() === web);
    await subject.connections?.fallSilent();
    await until('the silence is told', () => heard.error !== undefined || heard.staleReason('of web') !== null, {
      withinMs: 30_000,
    });
    assert.deepEqual(heard.served('of web'), [web]);
  });

  test(`${name}: any number of queries shares the budget of connections, and every change is seen`, async () => {
    await using subject = await makeSubject();
    const budget = subject.connections?.budget ?? 0;
    const services = Array.from({ length: budget * 3 }, (_, index) => `service-${index}`);
    for (const service of services) await subject.put(service, [web]);
    await using heard = watch(subject, services);
    await until('synced', () => heard.count('synced') === 1, { withinMs: 30_000 });
    for (const service of services) await subject.put(service, [web, other]);
    await until('all changes are told', () => services.every((name) => heard.served(`of ${name}`)?.length === 2), {
      withinMs: 30_000,
    });
    assert.ok((subject.connections?.most() ?? 0) <= budget, `${subject.connections?.most()} connections`);
  });
}

/** Timers, watches and sockets of this process that keep it alive. */
function resources(): number {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => ['Timeout', 'FSEventWrap', 'TCPSocketWrap', 'PipeWrap', 'TLSWrap'].includes(kind)).length;
}
