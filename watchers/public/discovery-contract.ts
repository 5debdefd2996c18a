/** The suite that every watcher passes that discovers services, yours as well. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiscoveredService, Query, Watch } from '../../src/model.ts';
import { type Listening, listen } from './listen.ts';
import { until } from './until.ts';

/** A watcher with its source, both new, and hands on the source. */
export type DiscoverySubject = AsyncDisposable & {
  readonly watch: Watch;
  /** The query for many services, as `discovery.queries` makes it. */
  readonly query: unknown;
  /** The name by which `service` is discovered. */
  nameOf(service: string): string;
  /** Makes the source say that `service` is to be discovered, with these options, and that these `ADDRESS:PORT` serve it. */
  offer(service: string, options: Readonly<Record<string, string>>, addresses: readonly string[]): Promise<void>;
  /** From now on `service` is not to be discovered. */
  withdraw(service: string): Promise<void>;
  /** From now on nothing can be learnt from the source; until `mend`. */
  fail(): Promise<void>;
  mend(): Promise<void>;
};

type Kind = {
  /** A source that another start can mend throws; one that is mended by waiting says that all is stale. */
  readonly failsBy: 'throwing' | 'staleness';
  /** Two that the source takes for endpoints; nothing is sent to them. */
  readonly addresses?: readonly [string, string];
};

export function discoversByTheContract(
  name: string,
  makeSubject: () => Promise<DiscoverySubject>,
  { failsBy, addresses: [one, other] = ['127.0.0.1:9001', '127.0.0.1:9002'] }: Kind,
): void {
  const follow = (subject: DiscoverySubject): Listening => {
    const queries: Query[] = [{ key: '*', settings: subject.query }];
    return listen((signal) => subject.watch(queries, signal));
  };

  test(`${name}: a service is discovered when it comes, and not any more when it goes`, async () => {
    await using subject = await makeSubject();
    await using heard = follow(subject);
    await until('it is synced, with nothing', () => heard.count('synced') === 1);
    assert.deepEqual(discoveredBy(heard), []);
    await subject.offer('web', { balance: 'leastconn' }, [one]);
    const web = await until('web is discovered', () => serviceOf(heard, subject.nameOf('web')));
    assert.deepEqual(web.options, { balance: 'leastconn' });
    await until('its endpoints are told', () => heard.served(web.key)?.join() === one);
    await subject.offer('db', {}, [other]);
    await until('db is discovered as well', () => discoveredBy(heard)?.length === 2);
    await subject.withdraw('web');
    await until(
      'only db is',
      () =>
        discoveredBy(heard)
          ?.map((service) => service.name)
          .join() === subject.nameOf('db'),
    );
    assertDiscoveredFirst(heard);
    assert.ok(!heard.isOver, 'it does not end by itself: that would be a failure');
  });

  test(`${name}: all that is there at a start is discovered at once, and synced once each was answered for`, async () => {
    await using subject = await makeSubject();
    await subject.offer('web', {}, [one]);
    await subject.offer('db', {}, [other]);
    await using heard = follow(subject);
    await until('synced', () => heard.count('synced') === 1);
    const first = heard.said.find((update) => update.kind === 'discovered');
    assert.equal(first?.kind === 'discovered' && first.services.length, 2);
    const keys = discoveredBy(heard)?.map(({ key }) => key) ?? [];
    assert.deepEqual(keys.flatMap((key) => heard.served(key) ?? []).sort(), [one, other]);
    assertDiscoveredFirst(heard);
  });

  test(`${name}: a service that changes its options stays the same service, as old as it was`, async () => {
    await using subject = await makeSubject();
    await subject.offer('web', { balance: 'leastconn' }, [one]);
    await subject.offer('db', {}, [other]);
    await using heard = follow(subject);
    await until('synced', () => heard.count('synced') === 1);
    const before = serviceOf(heard, subject.nameOf('web'));
    assert.ok(before);
    await subject.offer('web', { balance: 'first', 'check-path': '/x' }, [one]);
    await until('the change is told', () => serviceOf(heard, subject.nameOf('web'))?.options.balance === 'first');
    assert.deepEqual(serviceOf(heard, subject.nameOf('web')), {
      ...before,
      options: { balance: 'first', 'check-path': '/x' },
    });
    assert.deepEqual(serviceOf(heard, subject.nameOf('db'))?.options, {});
    assert.deepEqual(heard.served(before.key), [one]);
  });

  test(`${name}: options are handed on as they are, whether they mean anything or not, and no longer than can be used`, async () => {
    await using subject = await makeSubject();
    const text = 'x'.repeat(5000);
    await subject.offer('web', { balance: 'no such', unheard: 'of' }, [one]);
    await subject.offer('long', { 'check-path': text }, [one]);
    await using heard = follow(subject);
    await until('synced', () => heard.count('synced') === 1);
    assert.deepEqual(serviceOf(heard, subject.nameOf('web'))?.options, { balance: 'no such', unheard: 'of' });
    // A source may refuse so long a text itself.
    const { 'check-path': path = '' } = serviceOf(heard, subject.nameOf('long'))?.options ?? {};
    assert.ok(path.length < text.length && text.startsWith(path));
  });

  test(`${name}: a failing source takes no discovered service away, and recovers`, async () => {
    await using subject = await makeSubject();
    await subject.offer('web', {}, [one]);
    await subject.offer('db', {}, [other]);
    await using heard = follow(subject);
    await until('synced', () => heard.count('synced') === 1);
    await subject.fail();
    await until('the failure is told', () =>
      failsBy === 'throwing' ? heard.error !== undefined : heard.staleReason('*') !== null,
    );
    assert.equal(discoveredBy(heard)?.length, 2);
    assert.equal(heard.count('gone'), 0);
    await subject.mend();
    await using again = failsBy === 'throwing' ? follow(subject) : heard;
    await subject.offer('api', {}, [one]);
    await until('what came since is discovered', () => discoveredBy(again)?.length === 3);
  });
}

/** The services that were told last; undefined: none so far. */
function discoveredBy(heard: Listening): readonly DiscoveredService[] | undefined {
  const last = heard.said.findLast((update) => update.kind === 'discovered');
  return last?.kind === 'discovered' ? last.services : undefined;
}

function serviceOf(heard: Listening, name: string): DiscoveredService | undefined {
  return discoveredBy(heard)?.find((service) => service.name === name);
}

function assertDiscoveredFirst({ said }: Listening): void {
  const keys = new Set<string>();
  for (const update of said) {
    if (update.kind === 'discovered') for (const { key } of update.services) keys.add(key);
    if (update.kind === 'endpoints') assert.ok(keys.has(update.key), `${update.key} was not discovered before`);
  }
}
