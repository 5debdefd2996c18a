/** ReconcileQueue: whatever comes in whatever order, the newest state is live in the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import fc from 'fast-check';
import type { Outcome } from '../../../src/apply/driver.ts';
import { createCatalog } from '../../../src/catalog/catalog.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import { createMutex } from '../../../src/lib/mutex.ts';
import type { Plan, Rendered } from '../../../src/model.ts';
import { ReconcileQueue } from '../../../src/reconcile/reconcile-queue.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import { ScriptedDriver } from '../../support/models/scripted-driver.ts';
import { settings } from '../../support/values/catalog.ts';

/** The state that is desired gets a new name, or an operator wants a reload. */
const actions = fc.array(fc.constantFrom('change', 'change back', 'reload', 'crash'), { minLength: 1, maxLength: 8 });

test('ReconcileQueue: in any order of changes, orders to reload, crashes and slow starts, one reload at a time leads to the newest state, and whoever waits is answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), actions, async (scheduler, all) => {
      const stopping = new AbortController();
      try {
        await explore(scheduler, all, stopping.signal);
      } finally {
        stopping.abort();
      }
    }),
    { numRuns: 60 },
  );
});

class SlowDriver extends ScriptedDriver {
  readonly #scheduler: fc.Scheduler;
  #reloading = 0;

  constructor(scheduler: fc.Scheduler) {
    super();
    this.#scheduler = scheduler;
  }

  override async apply(wanted: Rendered, plan: Plan): Promise<Outcome> {
    if (plan.kind !== 'reload') return super.apply(wanted, plan);
    this.#reloading += 1;
    assert.equal(this.#reloading, 1, 'one reload at a time');
    await this.#scheduler.schedule(Promise.resolve(), 'a process starts');
    this.#reloading -= 1;
    return super.apply(wanted, plan);
  }
}

async function explore(scheduler: fc.Scheduler, all: readonly string[], signal: AbortSignal): Promise<void> {
  let versions = 1;
  const rendered = (): Rendered & { readonly problems: readonly [] } => ({
    sections: splitSections(
      `frontend web:in\n    mode http\nbackend web\n    mode http # version ${versions}\n`,
      'web',
    ),
    problems: [],
  });
  const driver = new SlowDriver(scheduler);
  const now = (): number => performance.now();
  const updater = new RuntimeUpdater(driver, {
    now,
    verify: () => ({ verifyInterval: 10_000, drift: 'repair' }),
    report() {},
  });
  const reconciler = new Reconciler(driver, updater, () => new Map(), now);
  const errors: unknown[] = [];
  const queue = new ReconcileQueue(
    {
      editions: {
        settings: { config: { debounce: { quiet: 0, max: 1 } } },
        collection: { catalog: createCatalog(settings(), 0) },
        nextDeadline: () => null,
      },
      desired: { isBlind: false, waitingFor: [], render: rendered },
      reconciler,
      driver,
      mutex: createMutex(),
      heartbeat: { during: (work) => work() },
      advance() {},
      onResult() {},
      report: (happening) => {
        if (happening.kind === 'reconcile_failed') errors.push(happening.error);
      },
    },
    signal,
  );
  const requests: Promise<unknown>[] = [];
  let answered = 0;
  const does: Readonly<Record<string, () => void>> = {
    change() {
      versions += 1;
      queue.changed();
    },
    'change back'() {
      versions = 1;
      queue.changed();
    },
    reload() {
      requests.push(queue.reload().then(() => (answered += 1)));
    },
    crash() {
      driver.running = null;
      queue.wake();
    },
  };
  queue.changed();
  const script = Promise.all(all.map((action) => scheduler.schedule(Promise.resolve(), action).then(does[action])));
  const isThere = (): boolean => driver.running?.sections.at(-1)?.text === rendered().sections.at(-1)?.text;
  for (let turns = 0; !isThere() || answered < requests.length || scheduler.count() > 0; turns++) {
    assert.ok(turns < 2000, `not there after ${turns} turns: ${driver.running?.sections.at(-1)?.text}`);
    if (scheduler.count() > 0) await scheduler.waitOne();
    await timers.setTimeout(0);
  }
  await script;
  assert.equal(answered, requests.length);
  assert.deepEqual(errors, []);
}
