/** An edit of the config that leaves a service without endpoints is doubted, while Myelin runs and over a restart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accept, advance, type Catalog, createCatalog, receive, retainedOf } from '../../../src/catalog/catalog.ts';
import {
  acceptLosses,
  type Collection,
  collect,
  createCollection,
  known,
  nothingKnown,
  recollect,
} from '../../../src/catalog/collection.ts';
import { newlyKept, report } from '../../../src/catalog/report.ts';
import { reconfigure } from '../../../src/catalog/services-changed.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { Endpoint, SourceEvent } from '../../../src/model.ts';
import {
  type Change,
  endpoint,
  failed,
  found,
  ids,
  minute,
  play,
  settings,
  started,
  synced,
} from '../../support/values/catalog.ts';
import { load } from '../../support/values/config.ts';

/** When the config is edited: long after the source was connected. */
const at = 10 * minute;
const local = [endpoint('a', '127.0.0.1'), endpoint('b', '127.0.0.2'), endpoint('c', '127.0.0.3')];
const loopback = { allowAddresses: ['127.0.0.0/8'] };

function serving(change: Change = loopback, endpoints: readonly Endpoint[] = local): Catalog {
  return play(createCatalog(settings(change), 0), [started, found(endpoints), synced]);
}

function keptIn(catalog: Catalog): unknown {
  return report(catalog, at).services[0]?.kept;
}

test('an edit that forbids every endpoint of a service is doubted, whenever it happens, until keepFor is over', () => {
  const before = serving();
  const edited = reconfigure(before, settings(), at);
  assert.deepEqual(ids(edited), ['a', 'b', 'c']);
  assert.deepEqual(keptIn(edited), { reason: 'config', since: at, until: at + 10 * minute });
  assert.deepEqual(newlyKept(before, edited), [
    { service: 'web', kept: { reason: 'config', since: at, until: at + 10 * minute }, count: 3 },
  ]);
  const repeated = receive(edited, found(local), at + minute);
  assert.deepEqual([ids(repeated), keptIn(repeated)], [ids(edited), keptIn(edited)], 'the source says the same again');
  assert.deepEqual(ids(advance(repeated, at + 10 * minute)), []);
});

test('an edit that forbids every endpoint ends by an order, and is as if it had never been when it is undone', () => {
  const edited = reconfigure(serving(), settings(), at);
  assert.equal(retainedOf(edited, 'web'), 3);
  assert.deepEqual(ids(accept(edited, 'web', at + 1000)), []);
  const undone = reconfigure(edited, settings(loopback), at + 1000);
  assert.deepEqual([ids(undone), keptIn(undone)], [['a', 'b', 'c'], null]);
});

test('onEmpty says what becomes of an edit that empties a service, as of a source that does', () => {
  const web = (onEmpty: 'accept' | 'keep'): Change => ({ services: { web: { onEmpty } } });
  const edited = (onEmpty: 'accept' | 'keep'): Catalog =>
    reconfigure(serving({ ...loopback, ...web(onEmpty) }), settings(web(onEmpty)), at);
  assert.deepEqual(ids(edited('accept')), []);
  assert.deepEqual(ids(advance(edited('keep'), 1e9)), ['a', 'b', 'c']);
});

test('an edit that forbids some endpoints, or takes the service away, is meant', () => {
  const narrow = reconfigure(serving(), settings({ allowAddresses: ['127.0.0.3/32'] }), at);
  assert.deepEqual([ids(narrow), keptIn(narrow)], [['c'], null]);
  assert.equal(ids(reconfigure(serving(), settings({ services: { db: {} } }), at)), undefined);
});

test('another edit, and what a source adds that is forbidden as well, leave the doubt as it is', () => {
  let catalog = reconfigure(serving(), settings(), at);
  const doubted = keptIn(catalog);
  catalog = reconfigure(catalog, settings({ services: { web: {}, db: {} } }), at + 1000);
  assert.deepEqual([ids(catalog), keptIn(catalog)], [['a', 'b', 'c'], doubted]);
  catalog = receive(catalog, found([...local, endpoint('d', '127.0.0.4')]), at + 2000);
  assert.deepEqual([ids(catalog), keptIn(catalog)], [['a', 'b', 'c'], doubted]);
});

test('as soon as one endpoint is allowed, no forbidden one is retained', () => {
  const edited = reconfigure(serving(), settings(), at);
  const one = receive(edited, found([...local, endpoint('d', '10.0.0.4')]), at + 1000);
  assert.deepEqual([ids(one), keptIn(one)], [['d'], null]);
  const wider = reconfigure(edited, settings({ allowAddresses: ['127.0.0.2/32'] }), at + 1000);
  assert.deepEqual([ids(wider), keptIn(wider)], [['b'], null]);
});

test('no doubt keeps an endpoint that leads back to a listener of the edited config', () => {
  const own = { addresses: [], listeners: [{ host: null, port: 80, text: 'web.bind' }] };
  const looping = reconfigure(serving(), settings({ ...loopback, own }), at);
  assert.deepEqual([ids(looping), keptIn(looping)], [[], null]);
  const others = [...local, endpoint('d', '127.0.0.4', { port: 81 })];
  assert.deepEqual(ids(reconfigure(serving(loopback, others), settings({ own }), at)), ['d']);
});

test('what the source had already ceased to name does not outlast a config that forbids it', () => {
  const doubted = play(serving(), [failed, started, found([])], at);
  assert.deepEqual(ids(reconfigure(doubted, settings(), at + 1000)), []);
});

test('an edit that leaves the one source of a service that knows nobody is doubted', () => {
  const watchers = { consul: {}, cluster: {} };
  const from = (...names: readonly string[]): Change => ({
    watchers,
    services: { web: { origins: names.map((watcher) => ({ watcher, key: 'web' })) } },
  });
  const both = play(createCatalog(settings(from('consul', 'cluster')), 0), [
    found([endpoint('a', '10.0.0.1')]),
    found([], 'web', 'cluster'),
  ]);
  const edited = reconfigure(both, settings(from('cluster')), at);
  assert.deepEqual([ids(edited), keptIn(edited)], [['a'], { reason: 'config', since: at, until: at + 10 * minute }]);
});

const web1 = endpoint('web-1', '10.0.0.1');

async function asking(tag: string, rest = ''): Promise<Config> {
  const query = `{ service: web, tags: [${tag}] }`;
  const { config } = await load(
    `watchers: { consul: { type: consul } }\nservices: { web: { from: { consul: ${query} } } }\n${rest}`,
  );
  return config;
}

function answered(collection: Collection, now: number, ...endpoints: readonly Endpoint[]): Collection {
  const events: readonly SourceEvent[] = [started, found(endpoints), synced];
  return events.reduce((all, event) => collect(all, event, now), collection);
}

function restarted(before: Collection, config: Config): Collection {
  return createCollection(config, { discovered: [], endpoints: new Map(known(before)) }, 0);
}

for (const [how, edit] of [
  ['while Myelin runs', (before: Collection, config: Config) => recollect(before, config, at)],
  ['while Myelin is stopped', restarted],
] as const)
  test(`an edit ${how} that asks for others is doubted where the source knows none, and is no loss where it knows some`, async () => {
    const before = answered(createCollection(await asking('blue'), nothingKnown, 0), 0, web1);
    const edited = edit(before, await asking('gren'));
    const empty = answered(edited, at + 1000);
    assert.deepEqual(ids(empty.catalog), ['web-1']);
    assert.deepEqual(keptIn(empty.catalog), { reason: 'config', since: at + 1000, until: at + 1000 + 10 * minute });
    assert.deepEqual(ids(acceptLosses(empty, ['web'], at + 2000).catalog), []);
    const other = answered(edited, at + 1000, endpoint('web-2', '10.0.0.2'));
    assert.deepEqual([ids(other.catalog), keptIn(other.catalog)], [['web-2'], null]);
  });

test('an edit while Myelin is stopped that forbids every endpoint is doubted as one while it runs', async () => {
  const allowing = await asking('blue', 'allowAddresses: [127.0.0.0/8]');
  const before = answered(createCollection(allowing, nothingKnown, 0), 0, ...local);
  const after = answered(restarted(before, await asking('blue')), 1000, ...local);
  assert.deepEqual(ids(after.catalog), ['a', 'b', 'c']);
  assert.deepEqual(keptIn(after.catalog), { reason: 'config', since: 1000, until: 1000 + 10 * minute });
  assert.deepEqual(ids(answered(restarted(after, await asking('blue')), 1000, ...local).catalog), ['a', 'b', 'c']);
});

test('what other queries found is remembered over restarts for as long as the new ones have no answer', async () => {
  const before = answered(createCollection(await asking('blue'), nothingKnown, 0), 0, web1);
  const unanswered = restarted(before, await asking('gren'));
  const again = restarted(unanswered, await asking('gren'));
  assert.deepEqual(ids(again.catalog), [], 'they do not serve');
  assert.deepEqual(ids(answered(again, 1000).catalog), ['web-1']);
});
