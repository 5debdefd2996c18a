import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import {
  advance,
  type Catalog,
  type CatalogSettings,
  createCatalog,
  nextDeadline,
  receive,
  view,
} from '../../../src/catalog/catalog.ts';
import { newlyRefused, report } from '../../../src/catalog/report.ts';
import { reconfigure } from '../../../src/catalog/services-changed.ts';
import type { Endpoint, SourceEvent } from '../../../src/model.ts';
import {
  type Change,
  endpoint,
  failed,
  found,
  gone,
  ids,
  minute,
  play,
  settings,
  stale,
  started,
  synced,
} from '../../support/values/catalog.ts';

const web1 = endpoint('web-1', '10.0.0.1');
const web2 = endpoint('web-2', '10.0.0.2');

/** `web` of both sources. */
const bySeveralSources = settings({
  watchers: { consul: {}, cluster: {} },
  services: {
    web: {
      origins: [
        { watcher: 'consul', key: 'web' },
        { watcher: 'cluster', key: 'web' },
      ],
    },
  },
});

/** `web` with two endpoints, the source long since healthy. */
function steady(change: Change = {}): Catalog {
  return play(createCatalog(settings(change), 0), [started, found([web1, web2]), synced]);
}

test('nothing is rendered until every required source has synced once', () => {
  const watchers = { consul: {}, cluster: {}, extra: { required: false } };
  const services = {
    web: {},
    db: { origins: [{ watcher: 'cluster', key: 'db' }] },
    more: { origins: [{ watcher: 'extra', key: 'more' }] },
  };
  let catalog = createCatalog(settings({ watchers, services }), 0);
  assert.deepEqual(view(catalog).waitingFor, ['cluster', 'consul']);
  catalog = play(catalog, [started, found([web1]), synced]);
  assert.deepEqual([view(catalog).open, view(catalog).waitingFor], [false, ['cluster']]);
  catalog = receive(catalog, { watcher: 'cluster', kind: 'synced' }, 1);
  assert.deepEqual([view(catalog).open, view(catalog).waitingFor], [true, []]);
  assert.equal(nextDeadline(catalog), null);
});

test('a required source that is asked nothing is not waited for', () => {
  assert.ok(view(createCatalog(settings({ services: {} }), 0)).open);
});

test('after the start timeout what is known goes live, and the rest keeps the servers of the file', () => {
  const watchers = { consul: {}, cluster: {} };
  const services = {
    web: {},
    db: { origins: [{ watcher: 'cluster', key: 'db' }] },
    api: { origins: [{ watcher: 'cluster', key: 'api' }] },
  };
  const seed = new Map([
    ['web', [endpoint('old-web', '10.0.0.9')]],
    ['db', [endpoint('old-db', '10.0.0.8')]],
  ]);
  let catalog = play(createCatalog(settings({ watchers, services }), 0, seed), [started, found([web1]), synced]);
  assert.equal(nextDeadline(catalog), 30_000);
  assert.equal(advance(catalog, 29_999), catalog);
  catalog = advance(catalog, 30_000);
  assert.deepEqual([view(catalog).open, view(catalog).waitingFor], [true, ['cluster']]);
  assert.deepEqual([ids(catalog, 'web'), ids(catalog, 'db'), ids(catalog, 'api')], [['web-1'], ['old-db'], []]);
  catalog = receive(catalog, found([endpoint('db-1', '10.0.0.3')], 'db', 'cluster'), 31_000);
  assert.deepEqual(ids(catalog, 'db'), ['db-1']);
});

test('a catalog that has opened stays open', () => {
  const catalog = reconfigure(
    play(steady(), [failed, started]),
    settings({
      watchers: { consul: {}, cluster: {} },
      services: { web: {}, db: { origins: [{ watcher: 'cluster', key: 'db' }] } },
    }),
    1,
  );
  assert.ok(view(catalog).open);
});

test('a service that is found by several sources has the endpoints of all', () => {
  const catalog = play(createCatalog(bySeveralSources, 0), [found([web2]), found([web1], 'web', 'cluster')]);
  assert.deepEqual(ids(catalog), ['web-1', 'web-2']);
});

test('until every source of a service has answered, its servers from the file serve beside those found', () => {
  const seed = new Map([['web', [endpoint('seed-1', '10.0.0.1'), endpoint('seed-9', '10.0.0.9')]]]);
  let catalog = play(createCatalog(bySeveralSources, 0, seed), [found([web1])]);
  assert.deepEqual(ids(catalog), ['seed-9', 'web-1']);
  catalog = receive(catalog, found([], 'web', 'cluster'), 1);
  assert.deepEqual(ids(catalog), ['web-1']);
});

test('one address and port is one endpoint: a ready one before a draining one, then the first by id', () => {
  const at = '10.0.0.1';
  const catalog = play(createCatalog(settings(), 0), [
    found([
      endpoint('c', at),
      endpoint('b', at),
      endpoint('a', at, { state: 'draining' }),
      endpoint('d', `::ffff:${at}`),
      endpoint('e', at, { port: 81 }),
    ]),
  ]);
  assert.deepEqual(ids(catalog), ['b', 'e']);
});

test('endpoints with the same id stay apart when their addresses differ', () => {
  const catalog = play(createCatalog(settings(), 0), [
    found([endpoint('web', '10.0.0.2'), endpoint('web', '10.0.0.1')]),
  ]);
  assert.deepEqual(
    view(catalog)
      .endpoints.get('web')
      ?.map(({ address }) => address),
    ['10.0.0.1', '10.0.0.2'],
  );
});

test('an equal repeat is the same catalog, whatever its order and duplicates', () => {
  const catalog = steady();
  assert.equal(receive(catalog, found([{ ...web2 }, { ...web1 }, { ...web2 }]), 5), catalog);
  assert.equal(receive(catalog, synced, 5), catalog);
  const troubled = receive(catalog, stale, 5);
  assert.equal(receive(troubled, stale, 6), troubled);
});

test('an event of one service leaves the lists of the others as they are', () => {
  const services = { web: {}, db: {} };
  const before = play(createCatalog(settings({ services }), 0), [found([web1]), found([web2], 'db')]);
  const after = receive(before, found([web1, web2]), 1);
  assert.notEqual(view(after).endpoints.get('web'), view(before).endpoints.get('web'));
  assert.equal(view(after).endpoints.get('db'), view(before).endpoints.get('db'));
});

test('an event of a source or question that nobody asks any more changes nothing', () => {
  const catalog = steady();
  assert.equal(receive(catalog, { ...failed, watcher: 'other' }, 1), catalog);
  assert.deepEqual(view(receive(catalog, found([web1], 'other'), 1)), view(catalog));
});

test('trouble removes nothing, and its age shows', () => {
  const catalog = play(play(steady(), [stale], 1000), [failed], 2000);
  assert.deepEqual(ids(catalog), ['web-1', 'web-2']);
  const { sources, services } = report(receive(catalog, started, 3000), 9000);
  assert.deepEqual(sources[0], {
    name: 'consul',
    state: 'down',
    required: true,
    synced: true,
    lastSuccess: 2000,
    down: { reason: 'connect ECONNREFUSED', since: 2000 },
  });
  assert.deepEqual(services[0]?.stale, { reason: '403 permission denied', since: 1000 });
});

test('a source that answers again is up and its service is not stale any more', () => {
  const { sources, services } = report(play(steady(), [stale, failed, started, found([web1])], 1000), 9000);
  assert.equal(sources[0]?.state, 'up');
  assert.equal(sources[0]?.lastSuccess, 9000);
  assert.equal(services[0]?.stale, null);
});

test('a service whose query cannot be answered is not waited for, as one is whose query fails for now', () => {
  const catalog = createCatalog(settings(), 1000);
  const pending = (...events: readonly SourceEvent[]): readonly string[] => [
    ...view(play(catalog, [started, ...events, synced], 1000)).pending,
  ];
  assert.deepEqual(pending(stale), ['web']);
  assert.deepEqual(pending({ ...stale, isUnanswerable: true }), []);
  assert.deepEqual(pending({ ...stale, isUnanswerable: true }, { ...stale, reason: 'HTTP 500' }), ['web']);
  assert.deepEqual(pending(found([])), []);
});

test('a restarted source keeps its old answers until new ones come', () => {
  const catalog = play(steady(), [failed, started], 1000);
  assert.deepEqual(ids(catalog), ['web-1', 'web-2']);
  assert.deepEqual(ids(receive(catalog, found([web1]), 1500)), ['web-1']);
});

test('the last endpoint gone from a healthy source is a fact', () => {
  assert.deepEqual(ids(receive(steady(), found([]), 2 * minute)), []);
  assert.deepEqual(ids(receive(steady(), gone, 2 * minute)), []);
});

test('nobody found by the first answer of all is a fact', () => {
  const catalog = play(createCatalog(settings(), 0), [started, found([]), synced]);
  assert.deepEqual([view(catalog).open, ids(catalog)], [true, []]);
});

for (const [why, trouble] of [
  ['restarted', [failed, started]],
  ['restarted by a change of the config', [started]],
  ['had no answer to its question', [stale]],
] as const)
  test(`a service that is suddenly empty after its source ${why} is kept for keepFor, then let go`, () => {
    const at = 10 * minute;
    let catalog = play(steady(), [...trouble, found([])], at);
    assert.deepEqual(ids(catalog), ['web-1', 'web-2']);
    assert.deepEqual(report(catalog, at).services[0]?.kept, { reason: 'emptied', since: at, until: at + 10 * minute });
    assert.equal(nextDeadline(catalog), at + 10 * minute);
    catalog = receive(catalog, found([]), at + minute);
    assert.deepEqual(ids(advance(catalog, at + 10 * minute - 1)), ['web-1', 'web-2']);
    catalog = advance(catalog, at + 10 * minute);
    assert.deepEqual([ids(catalog), nextDeadline(catalog)], [[], null]);
  });

test('a service that is emptied within a minute of the reconnection is doubted, later it is not', () => {
  const back = play(steady(), [failed, started, found([web1, web2])], 10 * minute);
  assert.deepEqual(ids(receive(back, found([]), 11 * minute)), ['web-1', 'web-2']);
  assert.deepEqual(ids(receive(back, found([]), 11 * minute + 1)), []);
});

test('the first answer after a reconnection is doubted however late it comes', () => {
  const services = { web: {}, db: {} };
  let catalog = play(createCatalog(settings({ services }), 0), [started, found([web1]), found([web2], 'db'), synced]);
  catalog = play(catalog, [failed, started, found([web2], 'db')], 10 * minute);
  assert.deepEqual(ids(receive(catalog, found([]), 15 * minute)), ['web-1']);
});

test('a doubt does not end while its source is in trouble, and starts anew with the reconnection', () => {
  let catalog = play(steady(), [failed, started, found([])], minute);
  catalog = receive(catalog, failed, 5 * minute);
  catalog = advance(catalog, 11 * minute);
  assert.deepEqual([ids(catalog), nextDeadline(catalog)], [['web-1', 'web-2'], null]);
  catalog = play(catalog, [started, found([])], 20 * minute);
  assert.deepEqual(report(catalog, 0).services[0]?.kept, { reason: 'emptied', since: minute, until: 30 * minute });
  assert.equal(nextDeadline(catalog), 30 * minute);
  assert.deepEqual(ids(advance(catalog, 30 * minute)), []);
});

test('new endpoints end the doubt at once', () => {
  let catalog = play(steady(), [failed, started, found([])], minute);
  catalog = receive(catalog, found([web2]), 2 * minute);
  assert.deepEqual([ids(catalog), report(catalog, 2 * minute).services[0]?.kept], [['web-2'], null]);
  assert.deepEqual(ids(advance(catalog, 60 * minute)), ['web-2']);
});

test('servers of the file are doubted, not dropped, when the first answer is that nobody is there', () => {
  const seed = new Map([['web', [web1]]]);
  const catalog = play(createCatalog(settings(), 0, seed), [started, found([]), synced], 1000);
  assert.deepEqual(ids(catalog), ['web-1']);
  assert.deepEqual(ids(advance(catalog, 1000 + 10 * minute)), []);
});

test('a service whose question has no answer serves what the file has, once its source is synced all the same', () => {
  const services = {
    web: {},
    db: { origins: [{ watcher: 'consul', key: 'db' }] },
    api: { origins: [{ watcher: 'consul', key: 'api' }] },
  };
  const seed = new Map([['db', [endpoint('old-db', '10.0.0.8')]]]);
  const unanswerable = (key: string): SourceEvent => ({
    watcher: 'consul',
    kind: 'stale',
    key,
    reason: 'which port?',
    isUnanswerable: true,
  });
  const events = [started, found([web1]), unanswerable('db'), unanswerable('api'), synced];
  const catalog = play(createCatalog(settings({ services }), 0, seed), events);
  assert.deepEqual([view(catalog).open, view(catalog).waitingFor], [true, []]);
  assert.deepEqual([ids(catalog, 'web'), ids(catalog, 'db'), ids(catalog, 'api')], [['web-1'], ['old-db'], []]);
  assert.deepEqual(ids(advance(catalog, 60 * minute), 'db'), ['old-db']);
});

test('onEmpty accept believes at once, onEmpty keep never does', () => {
  const emptied = (onEmpty: 'accept' | 'keep', at: number): Catalog =>
    play(steady({ services: { web: { onEmpty } } }), [failed, started, found([])], at);
  assert.deepEqual(ids(emptied('accept', minute)), []);
  const kept = receive(steady({ services: { web: { onEmpty: 'keep' } } }), found([]), 10 * minute);
  assert.deepEqual(ids(advance(kept, 1e9)), ['web-1', 'web-2']);
  assert.deepEqual(report(kept, 1e9).services[0]?.kept, { reason: 'emptied', since: 10 * minute, until: null });
  assert.equal(nextDeadline(kept), null);
});

test('each doubt ends at its own time', () => {
  const services = { web: {}, db: { keepFor: minute } };
  let catalog = play(createCatalog(settings({ services }), 0), [started, found([web1]), found([web2], 'db'), synced]);
  catalog = play(catalog, [failed, started, found([]), found([], 'db')], 0);
  assert.equal(nextDeadline(catalog), minute);
  catalog = advance(catalog, minute);
  assert.deepEqual([ids(catalog, 'web'), ids(catalog, 'db')], [['web-1'], []]);
  assert.equal(nextDeadline(catalog), 10 * minute);
});

test('a change of onEmpty holds for what is kept already', () => {
  const kept = play(steady(), [failed, started, found([])], minute);
  assert.deepEqual(ids(reconfigure(kept, settings({ services: { web: { onEmpty: 'accept' } } }), 2 * minute)), []);
  const forever = reconfigure(kept, settings({ services: { web: { onEmpty: 'keep' } } }), 2 * minute);
  assert.deepEqual(ids(advance(forever, 1e9)), ['web-1', 'web-2']);
});

test('a config that is read again keeps the answers to what is still asked', () => {
  const before = steady();
  const after = reconfigure(before, settings({ services: { web: {}, db: {} } }), 1000);
  assert.equal(view(after).endpoints.get('web'), view(before).endpoints.get('web'));
  assert.equal(view(reconfigure(after, settings({ services: { db: {} } }), 2000)).endpoints.has('web'), false);
});

test('a service that comes later is not served empty: it waits for its first answer, but not for ever', () => {
  const both = settings({ services: { web: {}, db: {} } });
  const after = reconfigure(steady(), both, 1000);
  assert.deepEqual([...view(after).endpoints.keys()], ['web']);
  assert.equal(nextDeadline(after), 31_000);

  assert.deepEqual(ids(receive(after, found([web2], 'db'), 2000), 'db'), ['web-2']);
  assert.deepEqual(ids(receive(after, found([], 'db'), 2000), 'db'), []);
  assert.deepEqual([...view(receive(after, { ...stale, key: 'db' }, 2000)).endpoints.keys()], ['web']);
  assert.deepEqual([...view(reconfigure(after, both, 2000)).endpoints.keys()], ['web']);

  const late = advance(after, 31_000);
  assert.deepEqual([...view(late).endpoints.keys()], ['web', 'db']);
  assert.equal(nextDeadline(late), null);
});

test('a service that moves to another source keeps its endpoints until that one has answered', () => {
  const moved = settings({
    watchers: { cluster: {} },
    services: { web: { origins: [{ watcher: 'cluster', key: 'web' }] } },
  });
  const catalog = reconfigure(steady(), moved, 1000);
  assert.deepEqual(ids(catalog), ['web-1', 'web-2']);
  const web3 = endpoint('web-3', '10.0.0.3');
  assert.deepEqual(ids(receive(catalog, found([web3], 'web', 'cluster'), 2000)), ['web-3']);
});

test('the answer to another question under the same name serves only until the new question is answered', () => {
  const asking = (query: unknown): CatalogSettings =>
    settings({ services: { web: { origins: [{ watcher: 'consul', key: 'web', query }] } } });
  let catalog = play(createCatalog(asking({ tags: ['blue'] }), 0), [started, found([web1]), synced]);
  catalog = reconfigure(catalog, asking({ tags: ['green'] }), 1000);
  assert.deepEqual(ids(catalog), ['web-1']);
  assert.deepEqual(report(catalog, 1000).services[0]?.unanswered, ['consul']);
  assert.deepEqual(ids(receive(catalog, found([web2]), 2000)), ['web-2']);
});

test('what is refused is left out alone and reported, until the config allows it', () => {
  const local = endpoint('local', '127.0.0.1');
  let catalog = play(createCatalog(settings(), 0), [started, found([web1, local]), synced]);
  assert.deepEqual(ids(catalog), ['web-1']);
  const [service] = report(catalog, 0).services;
  assert.equal(service?.endpoints.refused, 1);
  assert.match(service?.refused[0]?.reason ?? '', /127\.0\.0\.1 is a loopback address/);
  catalog = reconfigure(catalog, settings({ allowAddresses: ['127.0.0.0/8'] }), 1000);
  assert.deepEqual(ids(catalog), ['local', 'web-1']);
  catalog = reconfigure(catalog, settings(), 2000);
  assert.deepEqual(ids(catalog), ['web-1']);
});

test('what a watcher could not read is reported with what is refused, also when the config changes; both in bounds', () => {
  const unreadable = Array.from({ length: 5000 }, (_, at) => ({ id: `b.yaml\n${at}`, reason: 'x'.repeat(10_000) }));
  const answer: SourceEvent = { watcher: 'consul', kind: 'endpoints', key: 'web', endpoints: [web1], unreadable };
  let catalog = play(createCatalog(settings(), 0), [started, answer, synced]);
  catalog = reconfigure(catalog, settings({ allowAddresses: ['127.0.0.0/8'] }), 1000);
  const [service] = report(catalog, 1000).services;
  assert.deepEqual(ids(catalog), ['web-1']);
  assert.equal(service?.refused[0]?.part, 'entry');
  assert.match(service?.refused[0]?.id ?? '', /^b\.yaml\ufffd0$/);
  assert.ok(JSON.stringify(service?.refused).length < 100_000);
  catalog = receive(catalog, found([web1]), 2000);
  assert.deepEqual(report(catalog, 2000).services[0]?.refused, []);
});

test('what a source names beyond its number is left out, and taken as soon as the config allows more', () => {
  const more = endpoint('web-9', '10.0.0.9');
  const of = (maxServers: number) => settings({ watchers: { consul: { maxServers } } });
  let catalog = play(createCatalog(of(1), 0), [started, found([more, web1]), synced]);
  assert.deepEqual(ids(catalog), ['web-1']);
  catalog = reconfigure(catalog, of(2), 1000);
  assert.deepEqual(ids(catalog), ['web-1', 'web-9']);
});

test('no doubt keeps an endpoint that the config forbids', () => {
  const watchers = { consul: { loopbackAllowed: true } };
  const local = [endpoint('local', '127.0.0.1')];
  let catalog = play(createCatalog(settings({ watchers }), 0), [started, found(local), synced]);
  catalog = play(catalog, [failed, started, found([])], 1000);
  assert.deepEqual(ids(catalog), ['local']);
  assert.deepEqual(ids(reconfigure(catalog, settings(), 2000)), []);
});

test('a file on disk brings in no server that the guard refuses', () => {
  const seed = new Map([['web', [endpoint('metadata', '169.254.169.254'), web1]]]);
  assert.deepEqual(ids(createCatalog(settings(), 0, seed)), ['web-1']);
});

const pool = [
  web1,
  web2,
  endpoint('web-2', '10.0.0.1'),
  endpoint('web-3', '10.0.0.3', { state: 'draining' }),
  endpoint('web-3', '10.0.0.3'),
];
const endpointsOf = fc.array(fc.constantFrom(...pool), { maxLength: 6 });
const someEndpoints = fc.array(fc.constantFrom(...pool), { minLength: 1, maxLength: 6 });
const three = settings({ services: { a: {}, b: {}, c: {} } });
const keyOf = fc.constantFrom('a', 'b', 'c');

test('any order and duplication of the same last answers ends in the same view', () => {
  fc.assert(
    fc.property(
      fc.record({ a: endpointsOf, b: endpointsOf, c: endpointsOf }),
      fc.array(fc.tuple(keyOf, fc.infiniteStream(fc.nat()))),
      (last, repeats) => {
        const events = Object.entries(last).map(([key, endpoints]) => found(endpoints, key));
        const again = repeats.map(([key, order]) => {
          const keys = [...order.take(last[key].length * 2)];
          const shuffled = [...last[key], ...last[key]].map((one, at) => ({ one, at: keys[at] ?? 0 }));
          return found(
            shuffled.sort((x, y) => x.at - y.at).map(({ one }) => one),
            key,
          );
        });
        const straight = play(createCatalog(three, 0), events);
        const mixed = play(createCatalog(three, 0), [...again, ...events.toReversed()]);
        assert.deepEqual(view(mixed), view(straight));
        assert.equal(play(straight, again), straight);
      },
    ),
  );
});

test('no sequence of failures, troubles and restarts removes an endpoint', () => {
  const trouble = fc.oneof(
    fc.constantFrom(started, synced),
    fc.string().map((reason): SourceEvent => ({ ...failed, reason })),
    fc
      .tuple(keyOf, fc.string())
      .map(([key, reason]): SourceEvent => ({ watcher: 'consul', kind: 'stale', key, reason })),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(keyOf, someEndpoints)),
      fc.array(fc.tuple(trouble, fc.nat(1e9))),
      (answers, events) => {
        const answered = play(
          createCatalog(three, 0),
          answers.map(([key, endpoints]) => found(endpoints, key)),
        );
        let now = minute;
        const before = advance(answered, now);
        const after = events.reduce((catalog, [event, later]) => {
          now += later;
          return advance(receive(catalog, event, now), now);
        }, before);
        for (const [name, endpoints] of view(before).endpoints)
          assert.equal(view(after).endpoints.get(name), endpoints);
      },
    ),
  );
});

test('however answers and troubles follow each other, who is named by the last answer serves, and soon nobody else', () => {
  const event = fc.oneof(
    fc.constantFrom(started, synced, failed, stale),
    endpointsOf.map((endpoints) => found(endpoints, 'a')),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(2 * minute))), endpointsOf, (events, last) => {
      let now = 0;
      const noisy = events.reduce(
        (catalog, [one, later]) => {
          now += later;
          return advance(receive(catalog, one, now), now);
        },
        createCatalog(three, 0),
      );
      const quiet = createCatalog(three, 0);
      if (last.length > 0) {
        const after = receive(noisy, found(last, 'a'), now);
        const named = view(receive(quiet, found(last, 'a'), now)).endpoints.get('a') ?? [];
        for (const one of named)
          assert.ok(
            view(after)
              .endpoints.get('a')
              ?.some((other) => isDeepStrictEqual(one, other)),
          );
        assert.deepEqual(view(advance(after, now + minute)).endpoints.get('a'), named);
      }
      const end = advance(receive(noisy, found([], 'a'), now), now + 10 * minute);
      assert.deepEqual(ids(end, 'a'), [], 'and nobody serves for ever once the source says so');
    }),
  );
});

test('of what is left out only what is new is news', () => {
  const bad = (id: string, address: string): Endpoint => endpoint(id, address);
  const steps = [[bad('a', '127.0.0.1')], [bad('a', '127.0.0.1')], [bad('a', '127.0.0.1'), bad('b', '0.0.0.0')], []];
  let catalog = createCatalog(settings(), 0);
  const news = steps.map((endpoints) => {
    const before = catalog;
    catalog = receive(catalog, found(endpoints), 0);
    return newlyRefused(before, catalog, found(endpoints)).list.map(({ id }) => id);
  });
  assert.deepEqual(news, [['a'], [], ['b'], []]);
});

test('a new listener of ours ends what leads to it, of the services at that port alone, and its end brings it back', () => {
  const services = { web: {}, db: {} };
  const before = play(createCatalog(settings({ services }), 0), [
    found([endpoint('a', '10.0.0.5'), endpoint('b', '10.0.0.6')]),
    found([endpoint('c', '10.0.0.7', { port: 5432 })], 'db'),
    synced,
  ]);
  const own = { addresses: ['10.0.0.5'], listeners: [{ host: null, port: 80, text: ':80' }] };
  const after = reconfigure(before, { ...before.settings, own }, 0);
  assert.deepEqual(ids(after), ['b']);
  assert.match(report(after, 0).services[0]?.refused[0]?.reason ?? '', /10\.0\.0\.5 port 80 leads back to :80/);
  assert.equal(view(after).endpoints.get('db'), view(before).endpoints.get('db'));
  assert.deepEqual(ids(reconfigure(after, before.settings, 0)), ['a', 'b']);
});
