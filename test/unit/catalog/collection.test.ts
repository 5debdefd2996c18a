import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDeadline, view } from '../../../src/catalog/catalog.ts';
import {
  acceptLosses,
  type Collection,
  collect,
  createCollection,
  known,
  nothingKnown,
  progress,
  recollect,
} from '../../../src/catalog/collection.ts';
import { newlyKept } from '../../../src/catalog/report.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { Endpoint, SourceEvent } from '../../../src/model.ts';
import { endpoint, minute } from '../../support/values/catalog.ts';
import { load } from '../../support/values/config.ts';
import { discovered, discovering, service } from '../../support/values/discovered.ts';

const started: SourceEvent = { watcher: 'cluster', kind: 'started' };
const synced: SourceEvent = { watcher: 'cluster', kind: 'synced' };
const failed: SourceEvent = { watcher: 'cluster', kind: 'failed', reason: 'ECONNREFUSED', retryInMs: 1000 };
const one = endpoint('one', '192.0.2.1');
const two = endpoint('two', '192.0.2.2');

function answer(name: string, ...endpoints: readonly Endpoint[]): SourceEvent {
  return { watcher: 'cluster', kind: 'endpoints', key: `*shop/${name}`, endpoints };
}

function play(collection: Collection, now: number, ...events: readonly SourceEvent[]): Collection {
  return events.reduce((all, event) => collect(all, event, now), collection);
}

function create(config: Config): Collection {
  return createCollection(config, nothingKnown, 0);
}

/** Who serves what is served, by service. */
function served(collection: Collection): Readonly<Record<string, readonly string[]>> {
  const { endpoints } = view(collection.catalog);
  return Object.fromEntries(
    [...collection.config.services.keys()].map((name) => [name, (endpoints.get(name) ?? []).map(({ id }) => id)]),
  );
}

/** `web` and `db` are offered and answered, the source long since healthy. */
async function steady(rest = '', limits = ''): Promise<Collection> {
  const web = service('web', { listen: '10001' });
  const db = service('db');
  const first = play(
    create(await discovering(limits, rest)),
    0,
    started,
    discovered(web, db),
    answer('web', one, two),
    answer('db', one),
    synced,
  );
  return play(first, 10 * minute, answer('web', one, two));
}

/** After a reconnection `web` is offered no more. */
async function doubting(): Promise<Collection> {
  return play(await steady(), 11 * minute, failed, started, discovered(service('db')), answer('db', one), synced);
}

test('what is offered is served once the source has answered completely, and waited for like any other', async () => {
  let collection = play(create(await discovering()), 0, started);
  assert.deepEqual([view(collection.catalog).open, view(collection.catalog).waitingFor], [false, ['cluster']]);
  collection = play(collection, 0, discovered(service('web')), answer('web', one), synced);
  assert.ok(view(collection.catalog).open);
  assert.deepEqual(served(collection), { 'shop:web': ['one'] });
});

test('offers that are repeated are no news', async () => {
  const before = await steady();
  assert.equal(play(before, 11 * minute, discovered(service('web', { listen: '10001' }), service('db'))), before);
});

test('a service that comes later is served from its first answer on', async () => {
  let collection = play(await steady(), 11 * minute, discovered(service('web'), service('db'), service('new')));
  assert.equal(view(collection.catalog).endpoints.has('shop:new'), false);
  collection = play(collection, 11 * minute, answer('new', two));
  assert.deepEqual(served(collection)['shop:new'], ['two']);
});

test('a service that is offered no more is gone, with its frontend, and the others are as they were', async () => {
  const before = await steady();
  const collection = play(before, 11 * minute, discovered(service('db')));
  assert.deepEqual(served(collection), { 'shop:db': ['one'] });
  assert.equal(collection.config.services.get('shop:db'), before.config.services.get('shop:db'));
});

test('a discovered service ends at the word that it is gone, whichever comes first, that or the list without it', async () => {
  const before = await steady();
  const gone: SourceEvent = { watcher: 'cluster', kind: 'gone', key: '*shop/web' };
  const ended = play(before, 11 * minute, gone);
  assert.deepEqual(served(ended), { 'shop:db': ['one'] });
  const without = discovered(service('db'));
  assert.equal(play(ended, 11 * minute, without), ended, 'the list is no news');
  assert.deepEqual(served(play(before, 11 * minute, without, gone)), { 'shop:db': ['one'] });
  const back = play(ended, 12 * minute, discovered(service('web'), service('db')), answer('web', two));
  assert.deepEqual(served(back), { 'shop:db': ['one'], 'shop:web': ['two'] });
});

test('a discovered service that is gone right after a reconnection is doubted, as one that is on no list any more', async () => {
  const again = play(await steady(), 11 * minute, failed, started, discovered(service('web'), service('db')));
  const collection = play(again, 11 * minute, { watcher: 'cluster', kind: 'gone', key: '*shop/web' });
  assert.deepEqual(served(collection), { 'shop:db': ['one'], 'shop:web': ['one', 'two'] });
  const end = nextDeadline(play(collection, 11 * minute, answer('db', one), synced).catalog) ?? 0;
  assert.ok(end >= 20 * minute);
});

test('that a service vanished right after a reconnection is doubted: it serves on, as it was, until keepFor is over', async () => {
  let collection = await doubting();
  assert.deepEqual(served(collection), { 'shop:db': ['one'], 'shop:web': ['one', 'two'] });
  assert.deepEqual(collection.config.services.get('shop:web')?.bind, ['127.0.0.1:10001']);
  const end = nextDeadline(collection.catalog) ?? 0;
  assert.ok(end >= 20 * minute);
  collection = progress(collection, end);
  assert.deepEqual(served(collection), { 'shop:db': ['one'] });
});

test('an operator who believes that a service is gone lets it go at once; one that comes back is as any other', async () => {
  const doubted = await doubting();
  assert.deepEqual(served(acceptLosses(doubted, ['shop:web'], 12 * minute)), { 'shop:db': ['one'] });
  const back = play(
    doubted,
    12 * minute,
    discovered(service('web', { listen: '10001' }), service('db')),
    answer('web', two),
  );
  assert.deepEqual(served(back)['shop:web'], ['two']);
});

test('while the source is down nothing that it offered goes', async () => {
  const collection = progress(play(await steady(), 11 * minute, failed), 500 * minute);
  assert.deepEqual(served(collection), { 'shop:db': ['one'], 'shop:web': ['one', 'two'] });
});

test('after a restart what was offered last serves on until the source has answered, beyond the start timeout as well', async () => {
  const before = await steady();
  const { discovered: lastOffers, written } = before;
  const last = [...known(before)].filter(([name]) => name === 'shop:web');
  let collection = createCollection(written, { discovered: lastOffers, endpoints: new Map(last) }, 0);
  collection = progress(play(collection, 0, started, failed), minute);
  assert.ok(view(collection.catalog).open);
  assert.deepEqual(served(collection), { 'shop:db': [], 'shop:web': ['one', 'two'] });
  assert.deepEqual([...view(collection.catalog).unknown.keys()], ['shop:db']);
  collection = play(collection, minute, started, discovered(service('db')), answer('db', one), synced);
  assert.deepEqual(
    served(collection),
    { 'shop:db': ['one'], 'shop:web': ['one', 'two'] },
    'gone right after a start: doubted',
  );
});

test('a service that is left out takes over the port of an older one that has gone, although nobody said anything of it anew', async () => {
  const [old, young] = [service('old', { listen: '10001' }, 1), service('young', { listen: '10001' }, 2)];
  let collection = play(
    create(await discovering()),
    0,
    started,
    discovered(young, old),
    answer('young', two),
    answer('old', one),
    synced,
  );
  assert.deepEqual(served(collection), { 'shop:old': ['one'] });
  assert.deepEqual(
    collection.rejected.map(({ service }) => service),
    ['shop:young'],
  );
  collection = play(collection, 10 * minute, discovered(young));
  assert.deepEqual(served(collection), { 'shop:young': ['two'] });
  assert.deepEqual(collection.rejected, []);
});

test('a new config judges what is known anew, and forgets what nobody discovers any more', async () => {
  const before = await steady();
  const narrow = await discovering('options: [port]');
  const refused = recollect(before, narrow, 11 * minute);
  assert.deepEqual(served(refused), { 'shop:db': ['one'] });
  assert.match(refused.rejected[0]?.reason ?? '', /^listen: may not be chosen here/);
  assert.deepEqual(served(recollect(refused, before.written, 12 * minute)), {
    'shop:db': ['one'],
    'shop:web': ['one', 'two'],
  });
  const nothing = recollect(before, { ...before.written, discoveries: [] }, 11 * minute);
  assert.deepEqual([served(nothing), nothing.discovered], [{}, []]);
});

test('an offer under the name of a service of the config never touches that service', async () => {
  const listed = 'services: { "shop:web": { from: { cluster: {} } } }';
  const theirs: SourceEvent = { watcher: 'cluster', kind: 'endpoints', key: 'shop:web', endpoints: [two] };
  let collection = play(await steady(listed), 10 * minute, theirs);
  assert.deepEqual(served(collection)['shop:web'], ['two']);
  collection = play(collection, 11 * minute, discovered(service('db')));
  assert.deepEqual(served(collection)['shop:web'], ['two']);
  assert.deepEqual(
    collection.discovered.map(({ service: { name } }) => name),
    ['shop:db'],
  );
});

test('a config that asks in other words keeps all that was offered, until its own questions are answered', async () => {
  const before = await steady();
  const everywhere = await load(
    'watchers: { cluster: { type: kubernetes, namespaces: all } }\ndiscover: { cluster: { labels: { expose: "true" }, ports: "10000-10999" } }',
  );
  const asked = recollect(before, everywhere.config, 11 * minute);
  assert.deepEqual(served(asked), served(before));
  const found: SourceEvent = {
    watcher: 'cluster',
    kind: 'discovered',
    key: '*',
    services: [service('web', { listen: '10001' })],
  };
  const told = play(asked, 11 * minute, started, found, answer('web', two));
  assert.deepEqual(served(told), { 'shop:db': ['one'], 'shop:web': ['two'] }, 'the new question has not found db yet');
  const all = play(told, 11 * minute, synced);
  assert.deepEqual(served(all)['shop:db'], ['one'], 'that it vanished with the reconnection is doubted');
  assert.deepEqual(served(acceptLosses(all, ['shop:db'], 11 * minute)), { 'shop:web': ['two'] });
});

test('of a service that is found and not answered for yet nobody knows who serves it', async () => {
  const found = progress(play(create(await discovering()), 0, started, discovered(service('web'))), minute);
  assert.deepEqual([...view(found.catalog).unknown.keys()], ['shop:web']);
  const answered = play(found, minute, answer('web'));
  assert.deepEqual([...view(answered.catalog).unknown.keys()], []);
});

test('what another question found last is not taken for the answer to the one that is asked now', async () => {
  const { config: plain } = await load(
    'watchers: { file: { path: s.yaml } }\nservices: { web: { from: { file: { service: plain } } } }\n',
  );
  const answered = play(
    create(plain),
    0,
    { watcher: 'file', kind: 'started' },
    { watcher: 'file', kind: 'endpoints', key: 'web', endpoints: [one] },
  );
  const endpoints = new Map(known(answered));
  const again = createCollection(plain, { discovered: [], endpoints }, 0);
  assert.deepEqual([served(again), view(again.catalog).unknown.size], [{ web: ['one'] }, 0]);
  const { config: tls } = await load(
    'watchers: { file: { path: s.yaml } }\nservices: { web: { from: { file: { service: tls } } } }\n',
  );
  const other = createCollection(tls, { discovered: [], endpoints }, 0);
  assert.deepEqual([served(other), [...view(other.catalog).unknown.keys()]], [{ web: [] }, ['web']]);
});

test('that what was kept of a service is let go is told also when the service itself goes with it', async () => {
  const kept = play(await steady(), 11 * minute, failed, started, discovered(service('db')), answer('db', one), synced);
  const gone = acceptLosses(kept, ['shop:web'], 12 * minute);
  assert.deepEqual(newlyKept(kept.catalog, gone.catalog), [{ service: 'shop:web', kept: null, count: 0 }]);
});

test('ten thousand services that come while others are served cost no more than in proportion', async () => {
  const names = Array.from({ length: 10_000 }, (_, at) => `s${at}`);
  const many = await steady('', 'maxServices: 20000, maxPerNamespace: 20000');
  const open = play(many, 10 * minute, discovered(...names.map((name) => service(name))));
  const copied = names.reduce((all, name) => collect(all, answer(name, one), 10 * minute), open);
  assert.equal(Object.keys(served(copied)).length, 10_000);
});
