/** What is the same whichever driver it is. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type {
  Driver,
  DriverContext,
  DriverFactory,
  DriverOptions,
  ManagedDriver,
  Outcome,
} from '../../../src/apply/driver.ts';
import { manage } from '../../../src/apply/managed-driver.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Plan, Rendered } from '../../../src/model.ts';
import { tempFolder } from '../../support/index.ts';
import { haproxyDefaults, reloadDefaults } from '../../support/values/driver-config.ts';

const wanted: Rendered = { sections: splitSections('backend web\n    balance roundrobin\n', 'web') };
const reload: Plan = { kind: 'reload', reasons: [{ code: 'operator_request' }] };
const never = new AbortController().signal;

test('ManagedDriver: what a driver throws is an outcome, after which the same is left alone for a while', async () => {
  await using my = await managed({ replace: () => Promise.reject(new Error('no room')) });
  const outcome = await my.driver.apply(wanted, reload, never);
  assert.equal(outcome.kind, 'failed');
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /no room/);
  assert.deepEqual(my.driver.reloadAt(wanted, 0), { at: 250, because: 'back_off' });
});

test('ManagedDriver: what is broken off because Myelin ends is no failure', async () => {
  await using my = await managed({ replace: () => Promise.reject(new Error('aborted')) });
  await assert.rejects(my.driver.apply(wanted, reload, AbortSignal.abort(new Error('the end'))), /the end/);
  assert.equal(my.driver.reloadAt(wanted, 0).at, 0);
});

test('ManagedDriver: a reload that is to be planned anew counts neither as done nor as failed', async () => {
  await using my = await managed({ replace: async () => ({ kind: 'superseded' }) });
  assert.deepEqual(await my.driver.apply(wanted, reload, never), { kind: 'superseded' });
  assert.deepEqual(my.driver.reloadAt(wanted, 0), { at: 0, because: 'nothing' });
});

test('ManagedDriver: after a reload the next one keeps its distance', async () => {
  await using my = await managed({ replace: async () => ({ kind: 'applied', tookMs: 0 }) });
  assert.equal((await my.driver.apply(wanted, reload, never)).kind, 'applied');
  assert.deepEqual(my.driver.reloadAt(wanted, 0), { at: 2000, because: 'min_interval' });
});

test('ManagedDriver: a blank config never reaches a driver', async () => {
  await using my = await managed({ replace: () => assert.fail('nothing is to be asked') });
  const outcome = await my.driver.apply({ sections: [] }, reload, never);
  assert.equal(outcome.kind, 'refused');
});

test('ManagedDriver: what takes no commands is brought to other sections by the driver itself', async () => {
  const updates: Rendered[] = [];
  const update = async (sections: Rendered['sections']): Promise<Outcome> => {
    updates.push({ sections });
    return { kind: 'applied', tookMs: 0 };
  };
  await using my = await managed({ update });
  assert.equal(my.driver.runtime, null);
  await my.driver.apply(wanted, { kind: 'none' }, never);
  assert.deepEqual(updates, [wanted]);
});

test('ManagedDriver: the state folder is one Myelin’s alone, until that has ended', async () => {
  await using place = await tempFolder();
  {
    await using _ = await open(place.path);
    await assert.rejects(open(place.path), { code: 'MYELIN_LOCKED' });
  }
  await using _ = await open(place.path);
});

test('ManagedDriver: a driver that cannot begin leaves no lock', async () => {
  await using place = await tempFolder();
  await assert.rejects(
    open(place.path, () => Promise.reject(new Error('no executable'))),
    /no executable/,
  );
  await using _ = await open(place.path);
});

test('ManagedDriver: a driver that fails after it found another state leaves no timer of the config file', async () => {
  await using place = await tempFolder();
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const failing: DriverFactory = ({ noteChange }) => {
    noteChange();
    return Promise.reject(new Error('no executable'));
  };
  await assert.rejects(open(place.path, failing), /no executable/);
  assert.equal(timers(), before);
});

test('ManagedDriver: at its end nothing polls any more, and only then the driver looks away', async () => {
  await using place = await tempFolder();
  const seen: string[] = [];
  const polled = Promise.withResolvers<void>();
  const poll = async (_: number, signal: AbortSignal): Promise<void> => {
    polled.resolve();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    seen.push('poll');
  };
  const driver = await open(place.path, async ({ atEnd }) => {
    atEnd(() => seen.push('end'));
    return { ...idle, polling: { everyMs: 1, poll } };
  });
  await polled.promise;
  await driver[Symbol.asyncDispose]();
  assert.deepEqual(seen, ['poll', 'end']);
});

test('ManagedDriver: the newest config holds, also for the driver', async () => {
  await using place = await tempFolder();
  let seen: DriverContext['config'] | null = null;
  await using driver = await open(place.path, async ({ config }) => {
    seen = config;
    return idle;
  });
  const config = configIn(place.path);
  driver.use({ ...config, reload: { ...config.reload, minInterval: 7000 } });
  const read = seen as DriverContext['config'] | null;
  assert.equal(read?.().reload.minInterval, 7000);
  await driver.apply(wanted, reload, never);
  assert.equal(driver.reloadAt(wanted, 0).at, 7000);
});

/** Something runs that takes no commands, and all is well. */
const idle: Driver = {
  version: null,
  found: null,
  active: {
    running: { sections: wanted.sections, generation: 1, since: 0, process: null },
    worker: null,
    record: null,
  },
  unresponsive: null,
  masterTrouble: null,
  forced: [],
  oldWorkers: [],
  leaving: 0,
  followers: [],
  polling: null,
  update: async () => ({ kind: 'applied', tookMs: 0 }),
  replace: async () => ({ kind: 'applied', tookMs: 0 }),
  check: async () => [],
  stop: async () => {},
};

function configIn(folder: string): DriverOptions['config'] {
  return {
    state: join(folder, 'state'),
    haproxy: { ...haproxyDefaults, config: join(folder, 'haproxy.cfg'), statsSocket: join(folder, 'admin.sock') },
    reload: { ...reloadDefaults, minInterval: 2000 },
    file: { maxLag: 200 },
    drainTimeout: 600_000,
    drift: 'repair',
  };
}

function open(folder: string, factory: DriverFactory = async () => idle): Promise<ManagedDriver> {
  const options: DriverOptions = {
    config: configIn(folder),
    env: {},
    now: () => 0,
    random: () => 0,
    onChange: () => {},
    onEvent: ({ kind }) => assert.notEqual(kind, 'trouble'),
    whyNoTakeover: () => null,
  };
  return manage(factory, options, never);
}

type Place = AsyncDisposable & { readonly driver: ManagedDriver };

async function managed(its: Partial<Driver>): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(await tempFolder());
  const driver = stack.use(await open(place.path, async () => ({ ...idle, ...its })));
  const opened = stack.move();
  return { driver, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
