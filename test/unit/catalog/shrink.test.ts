/** Many endpoints that vanish at once are held for a while (`maxShrink`); what is added or changed is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  accept,
  advance,
  type Catalog,
  createCatalog,
  nextDeadline,
  receive,
  retainedOf,
  view,
} from '../../../src/catalog/catalog.ts';
import { newlyKept, report } from '../../../src/catalog/report.ts';
import { reconfigure } from '../../../src/catalog/services-changed.ts';
import type { Endpoint } from '../../../src/model.ts';
import {
  type Change,
  endpoint,
  failed,
  found,
  gone,
  ids,
  judged,
  minute,
  play,
  settings,
  stale,
  started,
  synced,
} from '../../support/values/catalog.ts';

/** When the tests begin: long after the source was connected, so that `onEmpty` believes it. */
const at = 10 * minute;

/** Endpoints by name: `a1` and `a2` differ in their address. */
function named(...names: readonly string[]): Endpoint[] {
  return names.map((name) => endpoint(name, `10.0.${name.charCodeAt(0)}.${Number(name.slice(1)) || 0}`));
}

const ten = named('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j');

/** `web` with these endpoints for long. */
function serving(endpoints: readonly Endpoint[], change: Change = {}): Catalog {
  return play(createCatalog(settings(change), 0), [started, found(endpoints), synced]);
}

function names(catalog: Catalog): string | undefined {
  return ids(catalog)?.join('');
}

function counts(catalog: Catalog): object | undefined {
  return report(catalog, at).services[0]?.endpoints;
}

test('a loss of more than the share is held, and believed when the source still says so after the hold', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 4)), at);
  assert.equal(names(catalog), 'abcdefghij');
  assert.deepEqual(counts(catalog), { ready: 4, draining: 0, kept: 6, unfit: 0, refused: 0 });
  assert.deepEqual(report(catalog, at).services[0]?.kept, { reason: 'shrunk', since: at, until: at + minute });
  assert.equal(nextDeadline(catalog), at + minute);
  assert.equal(receive(catalog, found(ten.slice(0, 4)), at + 1000), catalog, 'an equal repeat is nothing new');
  assert.equal(names(advance(catalog, at + minute - 1)), 'abcdefghij');
  catalog = advance(catalog, at + minute);
  assert.deepEqual(
    [names(catalog), nextDeadline(catalog), report(catalog, at).services[0]?.kept],
    ['abcd', null, null],
  );
});

test('a loss of the share or less is believed at once, and share 1 believes every loss', () => {
  assert.equal(names(receive(serving(ten), found(ten.slice(0, 5)), at)), 'abcde');
  const trusting = serving(ten, { watchers: { consul: { maxShrink: { share: 1, hold: minute } } } });
  assert.equal(names(receive(trusting, found(ten.slice(0, 1)), at)), 'a');
  const strict = serving(ten, { watchers: { consul: { maxShrink: { share: 0.2, hold: minute } } } });
  assert.equal(names(receive(strict, found(ten.slice(0, 8)), at)), 'abcdefgh');
  assert.equal(names(receive(strict, found(ten.slice(0, 7)), at)), 'abcdefghij');
});

test('who is still named and called unfit is no loss: it goes at once', () => {
  const [a, ...others] = ten;
  assert.ok(a);
  assert.equal(names(receive(serving(ten), judged([a], others), at)), 'a');
  const halves = [ten.slice(0, 3), ten.slice(3, 7)] as const;
  const both = receive(serving(ten), judged(...halves), at);
  assert.equal(names(both), 'abc', 'three that are not named any more are no large loss of what is left');
  const held = receive(serving(ten), judged(ten.slice(0, 1), ten.slice(1, 3)), at);
  assert.equal(names(held), 'adefghij', 'seven of eight that are not named any more are one');
  assert.equal(names(receive(held, judged(ten.slice(0, 1), ten.slice(1, 6)), at + 1000)), 'aghij');
});

test('an unfit endpoint is known by its place, and by its name where it moved as well', () => {
  const [a, ...others] = ten;
  assert.ok(a);
  const moved = others.map((one) => ({ ...one, address: '10.9.9.9' }));
  assert.equal(names(receive(serving(ten), judged([a], moved), at)), 'a');
  const renamed = others.map((one) => ({ ...one, id: `new ${one.id}` }));
  assert.equal(names(receive(serving(ten), judged([a], renamed), at)), 'a');
});

test('that the unfit are not named any more later on is no loss either', () => {
  const [a, ...others] = ten;
  assert.ok(a);
  const catalog = receive(receive(serving(ten), judged([a], others), at), found([a]), at + 1000);
  assert.equal(names(catalog), 'a');
});

test('that all endpoints are unfit is believed, but for the minute after the source was connected', () => {
  assert.equal(names(receive(serving(ten), judged([], ten), at)), '');
  const early = receive(serving(ten), judged([], ten), 20_000);
  assert.equal(names(early), 'abcdefghij');
  assert.equal(names(advance(early, minute - 1)), 'abcdefghij');
  assert.equal(names(advance(early, minute)), '', 'not for keepFor, which is for those who are not named');
  const returned = receive(receive(serving(ten), found([]), 20_000), judged([], ten), 2 * minute);
  assert.equal(names(returned), '');
});

test('one endpoint alone is never held, two of three are', () => {
  const strict = { watchers: { consul: { maxShrink: { share: 0, hold: minute } } } };
  assert.equal(names(receive(serving(named('a', 'b')), found(named('a')), at)), 'a');
  assert.equal(names(receive(serving(named('a', 'b'), strict), found(named('a')), at)), 'a');
  assert.equal(names(receive(serving(ten, strict), found(ten.slice(1)), at)), 'bcdefghij');
  assert.equal(names(receive(serving(named('a', 'b', 'c')), found(named('a')), at)), 'abc');
});

test('what is added or changed with a held loss goes live at once', () => {
  const [a, b] = named('a', 'b');
  assert.ok(a !== undefined && b !== undefined);
  const moved = { ...a, address: '10.9.9.9' };
  const heavier = { ...b, weight: 7 };
  const catalog = receive(serving(ten), found([moved, heavier, ...named('z')]), at);
  assert.equal(names(catalog), 'abcdefghijz');
  const served = view(catalog).endpoints.get('web') ?? [];
  assert.deepEqual(
    served.filter(({ id }) => id === 'a'),
    [{ ...moved, origin: { watcher: 'consul' } }],
    'an address that changed is not a server too many',
  );
  assert.equal(served.find(({ id }) => id === 'b')?.weight, 7);
  assert.equal(retainedOf(catalog, 'web'), 8);
});

test('a held endpoint whose address changed later is not kept at the old one', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 3)), at);
  const back = endpoint('j', '10.9.9.9');
  catalog = receive(catalog, found([...ten.slice(0, 3), back]), at + 1000);
  assert.deepEqual(
    view(catalog)
      .endpoints.get('web')
      ?.filter(({ id }) => id === 'j'),
    [{ ...back, origin: { watcher: 'consul' } }],
  );
});

test('endpoints that share an id are told apart by number: as many as came are not missing', () => {
  const same = ten.map((one) => ({ ...one, id: 'x' }));
  const catalog = receive(serving(same), found([{ ...endpoint('x', '10.9.9.9') }, ...same.slice(0, 2)]), at);
  assert.equal(retainedOf(catalog, 'web'), 7);
});

test('a rolling deploy that replaces names is no loss', () => {
  const others = named('k', 'l', 'm', 'n', 'o');
  assert.equal(names(receive(serving(ten), found([...ten.slice(0, 5), ...others]), at)), 'abcdeklmno');
  assert.equal(names(receive(serving(ten.slice(0, 5)), found(others), at)), 'klmno');
  let catalog = serving(named('a', 'b', 'c'));
  for (const now of [
    ['b', 'c'],
    ['b', 'c', 'x'],
    ['c', 'x'],
    ['c', 'x', 'y'],
    ['x', 'y'],
    ['x', 'y', 'z'],
  ]) {
    catalog = receive(catalog, found(named(...now)), at);
    assert.equal(names(catalog), now.join(''), 'one after the other');
  }
});

test('losses within the hold count together, however small each is', () => {
  let catalog = serving(ten);
  for (const left of [9, 8, 7, 6, 5]) {
    catalog = receive(catalog, found(ten.slice(0, left)), at + left);
    assert.equal(ids(catalog)?.length, left);
  }
  catalog = receive(catalog, found(ten.slice(0, 4)), at + 20_000);
  assert.equal(names(catalog), 'abcde', 'what went before is gone, from here on it is held');
  catalog = receive(catalog, found(ten.slice(0, 2)), at + 40_000);
  assert.equal(names(catalog), 'abcde');
  assert.equal(names(advance(catalog, at + 80_000)), 'abcd', 'each for the whole of the hold');
  assert.equal(names(advance(catalog, at + 100_000)), 'ab');
});

test('losses further apart than the hold are losses of their own', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 6)), at);
  catalog = receive(catalog, found(ten.slice(0, 4)), at + minute + 1);
  assert.equal(names(catalog), 'abcd');
});

test('when the endpoints that were lost come back the hold is over', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 2)), at);
  catalog = receive(catalog, found(ten.slice(0, 7)), at + 1000);
  assert.deepEqual([names(catalog), retainedOf(catalog, 'web')], ['abcdefghij', 3], 'not all are back');
  catalog = receive(catalog, found(ten), at + 2000);
  assert.deepEqual([names(catalog), retainedOf(catalog, 'web')], ['abcdefghij', 0]);
  assert.equal(names(receive(catalog, found(ten.slice(0, 2)), at + 3000)), 'abcdefghij', 'the next loss is one anew');
});

test('as many other endpoints in the place of those that were lost end the hold as well', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 2)), at);
  const others = named('k', 'l', 'm', 'n', 'o', 'p', 'q', 'r');
  catalog = receive(catalog, found([...ten.slice(0, 2), ...others]), at + 1000);
  assert.equal(names(catalog), 'abklmnopqr');
});

test('during a hold an endpoint that is replaced may go, one more that is lost may not', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 3)), at);
  catalog = receive(catalog, found([...ten.slice(0, 3), ...named('x')]), at + 1000);
  catalog = receive(catalog, found([...ten.slice(1, 3), ...named('x')]), at + 2000);
  assert.equal(names(catalog), 'bcdefghijx');
  catalog = receive(catalog, found([...ten.slice(2, 3), ...named('x')]), at + 3000);
  assert.equal(names(catalog), 'bcdefghijx');
});

test('when the loss becomes total onEmpty decides', () => {
  const emptied = (onEmpty: 'doubt' | 'keep' | 'accept'): Catalog => {
    const catalog = receive(serving(ten, { services: { web: { onEmpty } } }), found(ten.slice(0, 2)), at);
    return receive(catalog, found([]), at + 1000);
  };
  assert.equal(names(emptied('doubt')), '', 'a second, consistent read has confirmed it');
  assert.equal(names(emptied('accept')), '');
  assert.equal(names(advance(emptied('keep'), 1e9)), 'abcdefghij');
  assert.equal(names(receive(serving(ten), gone, at)), '');
});

test('a service that comes back in part from a doubted emptiness is held to what it was', () => {
  let catalog = play(serving(ten), [failed, started, found([])], at);
  catalog = receive(catalog, found(ten.slice(0, 1)), at + 1000);
  assert.equal(names(catalog), 'abcdefghij');
  assert.equal(report(catalog, at).services[0]?.kept?.reason, 'shrunk');
  assert.equal(names(advance(catalog, at + 1000 + minute)), 'a');
});

test('endpoints that were announced as draining may go, and those announced now are no loss', () => {
  const draining = ten.map((one, index) => (index < 2 ? one : { ...one, state: 'draining' as const }));
  let catalog = receive(serving(ten), found(draining), at);
  assert.deepEqual(counts(catalog), { ready: 2, draining: 8, kept: 0, unfit: 0, refused: 0 });
  catalog = receive(catalog, found(ten.slice(0, 2)), at + 1000);
  assert.equal(names(catalog), 'ab');
});

test('a held endpoint that comes back draining drains', () => {
  let catalog = receive(serving(ten), found(ten.slice(0, 2)), at);
  const draining = ten.slice(2).map((one) => ({ ...one, state: 'draining' as const }));
  catalog = receive(catalog, found([...ten.slice(0, 2), ...draining]), at + 1000);
  assert.deepEqual(counts(catalog), { ready: 2, draining: 8, kept: 0, unfit: 0, refused: 0 });
  assert.equal(names(receive(catalog, found(ten.slice(0, 2)), at + 2000)), 'ab');
});

test('the hold does not end while the source is in trouble, and starts anew with the reconnection', () => {
  for (const trouble of [failed, stale]) {
    let catalog = receive(serving(ten), found(ten.slice(0, 2)), at);
    catalog = advance(receive(catalog, trouble, at + 30_000), at + 5 * minute);
    assert.deepEqual([names(catalog), nextDeadline(catalog)], ['abcdefghij', null]);
    catalog = play(catalog, [started, found(ten.slice(0, 2))], at + 6 * minute);
    assert.equal(nextDeadline(catalog), at + 7 * minute);
    assert.equal(names(advance(catalog, at + 7 * minute)), 'ab');
  }
});

test('what a restarted source leaves out of its first answer is held', () => {
  const catalog = play(serving(ten), [failed, started, found(ten.slice(0, 2))], at);
  assert.equal(names(catalog), 'abcdefghij');
  assert.equal(names(advance(catalog, at + minute)), 'ab');
});

test('servers of the file that the first answer after a start leaves out are held', () => {
  const catalog = play(createCatalog(settings(), 0, new Map([['web', ten]])), [started, found(ten.slice(0, 2))]);
  assert.equal(names(catalog), 'abcdefghij');
  assert.equal(names(advance(catalog, minute)), 'ab');
});

const both: Change = {
  watchers: { consul: {}, cluster: { maxShrink: { share: 0.8, hold: 2 * minute } } },
  services: {
    web: {
      origins: [
        { watcher: 'consul', key: 'web' },
        { watcher: 'cluster', key: 'web' },
      ],
    },
  },
};

test('a service that moves from one source to the other is no loss', () => {
  let catalog = play(createCatalog(settings(both), 0), [found(ten.slice(0, 5)), found([], 'web', 'cluster')]);
  catalog = receive(catalog, found(named('v', 'w', 'x', 'y', 'z'), 'web', 'cluster'), at);
  catalog = receive(catalog, found([]), at + 1000);
  assert.equal(names(catalog), 'vwxyz');
});

test('of several sources the smallest share and the longest hold count', () => {
  const clusterSynced = { watcher: 'cluster', kind: 'synced' } as const;
  const events = [found(ten), synced, found(named('z'), 'web', 'cluster'), clusterSynced];
  const catalog = receive(play(createCatalog(settings(both), 0), events), found([]), at);
  assert.equal(ids(catalog)?.length, 11, 'a source that falls silent beside another one is a loss like any other');
  assert.equal(nextDeadline(catalog), at + 2 * minute);
  assert.equal(names(advance(catalog, at + 2 * minute)), 'z');
});

test('what the config takes away is no loss', () => {
  const asking = (query: unknown): Change => ({
    services: { web: { origins: [{ watcher: 'consul', key: 'web', query }] } },
  });
  let catalog = reconfigure(serving(ten, asking('all')), settings(asking('blue')), at);
  assert.equal(names(catalog), 'abcdefghij');
  catalog = receive(catalog, found(ten.slice(0, 2)), at + 1000);
  assert.equal(names(catalog), 'ab');
  catalog = receive(receive(catalog, found(ten), at + 2000), found(ten.slice(0, 2)), at + 3000);
  assert.equal(names(catalog), 'abcdefghij', 'what its new question loses later is');

  const two = play(createCatalog(settings(both), 0), [found(ten), found(named('z'), 'web', 'cluster')]);
  assert.equal(
    names(
      reconfigure(
        two,
        settings({ services: { web: { origins: [{ watcher: 'cluster', key: 'web' }] } }, watchers: { cluster: {} } }),
        at,
      ),
    ),
    'z',
  );
});

test('a change of maxShrink holds for what is held already, and the guard for who is held', () => {
  const held = receive(serving(ten), found(ten.slice(0, 2)), at);
  const using = (share: number, hold: number): Change => ({ watchers: { consul: { maxShrink: { share, hold } } } });
  assert.equal(names(reconfigure(held, settings(using(1, minute)), at + 1000)), 'ab');
  const longer = reconfigure(held, settings(using(0.5, 5 * minute)), at + 1000);
  assert.equal(report(longer, at).services[0]?.kept?.until, at + 5 * minute);
  assert.equal(names(advance(longer, at + 5 * minute)), 'ab');

  const local = ten.map((one, index) => ({ ...one, address: `127.0.0.${index + 1}` }));
  const loose = serving(local, { allowAddresses: ['127.0.0.0/8'] });
  const keeping = receive(loose, found(local.slice(0, 2)), at);
  assert.equal(ids(keeping)?.length, 10);
  assert.deepEqual(ids(reconfigure(keeping, settings({ allowAddresses: ['127.0.0.2/31'] }), at)), ['b', 'c']);
});

test('an operator accepts what is held or doubted, at once and for good', () => {
  const held = receive(serving(ten), found(ten.slice(0, 2)), at);
  assert.equal(retainedOf(held, 'web'), 8);
  const accepted = accept(held, 'web', at + 1000);
  assert.deepEqual([names(accepted), retainedOf(accepted, 'web')], ['ab', 0]);
  assert.equal(names(receive(accepted, found([...ten.slice(0, 2)].reverse()), at + 2000)), 'ab');
  assert.equal(accept(accepted, 'web', at + 3000), accepted, 'there is nothing more to accept');
  assert.equal(accept(accepted, 'nobody', at + 3000), accepted);

  const doubted = play(serving(ten), [failed, started, found([])], at);
  assert.equal(names(accept(doubted, 'web', at + 1000)), '');
  const kept = receive(serving(ten, { services: { web: { onEmpty: 'keep' } } }), found([]), at);
  assert.equal(names(receive(accept(kept, 'web', at), found([]), at + 1000)), '');
});

test('accepting one service leaves the others as they are', () => {
  const services = { web: {}, db: {} };
  let catalog = play(createCatalog(settings({ services }), 0), [found(ten), found(ten, 'db'), synced]);
  catalog = play(catalog, [found(ten.slice(0, 1)), found(ten.slice(0, 1), 'db')], at);
  catalog = accept(catalog, 'web', at);
  assert.deepEqual([ids(catalog)?.length, ids(catalog, 'db')?.length], [1, 10]);
  assert.equal(nextDeadline(catalog), at + minute);
});

test('that endpoints begin to be kept, and that they are let go, is news, and nothing in between', () => {
  const steps = [
    found(ten),
    found(ten.slice(0, 3)),
    found(ten.slice(0, 2)),
    found(ten.slice(0, 2)),
    found([]),
    found(ten),
  ];
  let before: Catalog | null = null;
  let catalog = createCatalog(settings({ services: { web: { onEmpty: 'keep' } } }), 0);
  const news = steps.map((event) => {
    catalog = receive(catalog, event, at);
    const told = newlyKept(before, catalog).map(({ service, kept, count }) => `${service} ${kept?.reason} ${count}`);
    before = catalog;
    return told.join();
  });
  assert.deepEqual(news, ['', 'web shrunk 7', '', '', 'web emptied 10', 'web undefined 0']);
});

const anyList = fc
  .uniqueArray(
    fc.tuple(fc.integer({ min: 0, max: 11 }), fc.constantFrom('ready' as const, 'ready' as const, 'draining' as const)),
    { selector: ([number]) => number, maxLength: 12 },
  )
  .map((list) => list.map(([number, state]) => endpoint(`web-${number}`, `10.0.0.${number}`, { state })));

test('in any sequence of answers nobody who is listed is missing, and after the hold nobody else serves', () => {
  const step = fc.tuple(anyList, fc.nat(90_000), fc.boolean());
  const rule = fc.record({ share: fc.constantFrom(0, 0.2, 0.5, 0.9, 1), hold: fc.constantFrom(1000, minute) });
  fc.assert(
    fc.property(rule, fc.array(step, { maxLength: 12 }), (maxShrink, steps) => {
      const change = { watchers: { consul: { maxShrink } }, services: { web: { onEmpty: 'accept' as const } } };
      let now = at;
      let catalog = createCatalog(settings(change), 0);
      let last: readonly Endpoint[] = [];
      for (const [list, later, isReconnected] of steps) {
        now += later;
        catalog = advance(catalog, now);
        if (isReconnected) catalog = play(catalog, [failed, started], now);
        catalog = receive(catalog, found(list), now);
        last = list;
        const served = new Set(ids(catalog));
        assert.ok(list.every(({ id }) => served.has(id)));
        const { ready, draining, kept } = report(catalog, now).services[0]?.endpoints ?? assert.fail();
        assert.deepEqual([ready + draining, kept], [list.length, served.size - list.length]);
        const deadline = nextDeadline(catalog);
        if (kept > 0) assert.ok(deadline !== null && deadline > now && deadline <= now + maxShrink.hold);
      }
      const settled = advance(catalog, now + maxShrink.hold);
      assert.deepEqual(new Set(ids(settled)), new Set(last.map(({ id }) => id)));
      assert.deepEqual(view(accept(catalog, 'web', now)).endpoints, view(settled).endpoints);
    }),
  );
});

test('what serves never falls below the share at once, unless everybody is gone', () => {
  fc.assert(
    fc.property(fc.array(anyList, { minLength: 2, maxLength: 12 }), (lists) => {
      let catalog = serving(ten.map((_, number) => endpoint(`web-${number}`, `10.0.0.${number}`)));
      let before = 10;
      for (const list of lists) {
        const ready = list.map((one) => ({ ...one, state: 'ready' as const }));
        catalog = receive(catalog, found(ready), at);
        const now = ids(catalog)?.length ?? 0;
        if (list.length > 0 && before > 2) assert.ok(now >= before / 2, `${before} became ${now}`);
        before = now;
      }
    }),
  );
});
