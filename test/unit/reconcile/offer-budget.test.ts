/** One namespace's services make no reloads at the cost of others' connections beyond its share; whatever else is wanted does not wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReloadSlot } from '../../../src/apply/reload-policy.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { ReloadReason, Section } from '../../../src/model.ts';
import { OfferBudget } from '../../../src/reconcile/offer-budget.ts';
import { discovering, service } from '../../support/values/discovered.ts';

const every = 600_000;
/** There are as many old processes as there may be. */
const full: ReloadSlot = { at: 30_000, because: 'old_workers', retires: true };
const names = ['a:web', 'a:new', 'b:web', 'listed'];
const sections: readonly Section[] = names.flatMap((name) =>
  splitSections(`frontend ${name}:in\n    mode http\nbackend ${name}\n    mode http\n`, name),
);

async function budget(everyMs = every) {
  const written = await discovering('', 'services: { listed: { from: { cluster: {} } } }');
  const made = new OfferBudget(() => everyMs);
  const discovered = ['a', 'b'].map((owner) => ({
    watcher: 'cluster',
    query: '*',
    service: { ...service('web'), name: `${owner}:web`, owner },
    isOver: false,
  }));
  made.note({ written, discovered });
  const because = (...about: readonly (readonly [ReloadReason['code'], string])[]) => ({
    reasons: about.map(([code, section]): ReloadReason => ({ code, section })),
    sections,
  });
  return { made, written, discovered, because };
}

test('at the limit of old processes a namespace has one reload in the interval, however often it changes its options', async () => {
  const { made, because } = await budget();
  const changed = because(['option_changed', 'backend a:web'], ['bind_changed', 'frontend a:web:in']);
  assert.equal(made.slot(full, changed), full, 'the first one is free');
  made.spend(full, changed, 40_000);
  assert.deepEqual(made.slot(full, changed), { ...full, at: 40_000 + every, because: 'offer_interval' });
  assert.deepEqual(
    made.slot({ at: 0, because: 'nothing' }, changed),
    { at: 0, because: 'nothing' },
    'nobody makes room for it',
  );
});

test('what another namespace, the config or an operator asks for goes as always, and takes along what waits', async () => {
  const { made, because } = await budget();
  made.spend(full, because(['option_changed', 'backend a:web']), 0);
  const waits = ['option_changed', 'backend a:web'] as const;
  for (const other of [
    ['option_changed', 'backend b:web'],
    ['option_changed', 'backend listed'],
    ['operator_request', ''],
    ['global_changed', 'global'],
    ['server_added', 'backend a:web'],
  ] as const)
    assert.equal(made.slot(full, because(waits, other)), full, other.join(' '));
  made.spend(full, because(waits, ['option_changed', 'backend b:web']), 50_000);
  assert.equal(made.slot(full, because(['option_changed', 'backend b:web'])).at, 50_000 + every);
});

test('a service that is made and deleted again and again counts for its namespace', async () => {
  const { made, written, discovered, because } = await budget();
  made.spend(full, because(['proxy_added', 'backend a:web']), 0);
  made.note({ written, discovered: discovered.slice(1) });
  assert.equal(made.slot(full, because(['proxy_removed', 'backend a:web'])).because, 'offer_interval');
});

test('without an interval there is no budget', async () => {
  const { made, because } = await budget(0);
  const changed = because(['option_changed', 'backend a:web']);
  made.spend(full, changed, 0);
  assert.equal(made.slot(full, changed), full);
});

test('a service that comes with a route waits no less: its route is nobody else’s wish', async () => {
  const { made, because } = await budget();
  made.spend(full, because(['option_changed', 'backend a:web']), 0);
  const comes = because(['proxy_added', 'backend a:web'], ['map_changed', 'map /run/haproxy.cfg.maps/public.map']);
  assert.deepEqual(made.slot(full, comes), { ...full, at: every, because: 'offer_interval' });
  const mapAlone = because(['map_changed', 'map /run/haproxy.cfg.maps/public.map']);
  assert.equal(made.slot(full, mapAlone), full);
});
