/** The loop around the reconciles: what is told when one comes to no end. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedDriver, Outcome } from '../../src/apply/driver.ts';
import { nothingKept } from '../../src/apply/files/kept-files.ts';
import { Certificates } from '../../src/certificates/certificates.ts';
import { main } from '../../src/main.ts';
import { OverrideStore } from '../../src/reconcile/overrides/override-store.ts';
import type { Happening } from '../../src/report/happenings.ts';
import { loadSettings } from '../../src/settings/settings.ts';
import { KnownEndpoints } from '../../src/sources/known-endpoints.ts';
import { KnownServices } from '../../src/sources/known-services.ts';
import { tempFolder } from '../support/index.ts';

test('what breaks off because Myelin ends is no failure, and who waits for a reload is told', async () => {
  const applying = Promise.withResolvers<void>();
  await using running = await started((signal) => {
    applying.resolve();
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const { instance, stopping, errors } = running;
  await applying.promise;
  const reload = assert.rejects(instance.reload(), { code: 'MYELIN_NOT_RUNNING' });
  stopping.abort();
  await instance.ended;
  await reload;
  assert.deepEqual(errors, []);
});

test('a reconcile that breaks off is told, also to who waits for a reload', async () => {
  await using running = await started(() => Promise.reject(new TypeError('a bug')));
  const { instance, stopping, errors } = running;
  await assert.rejects(instance.reload(), { message: 'a bug' });
  assert.match(String(errors[0]), /a bug/);
  stopping.abort();
  await instance.ended;
});

async function started(apply: (signal: AbortSignal) => Promise<Outcome>) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { file: { path: services.yaml } }\n');
  const control: ManagedDriver = {
    version: null,
    running: null,
    forced: [],
    oldWorkers: [],
    followers: [],
    found: null,
    runtime: null,
    fileTrouble: null,
    unresponsive: null,
    masterTrouble: null,
    crash: null,
    use() {},
    reloadAt: (_, since) => ({ at: since, because: 'nothing' }),
    apply: (_wanted, _plan, signal) => apply(signal),
    check: async () => [],
    async stop() {},
    async [Symbol.asyncDispose]() {},
  };
  const stopping = new AbortController();
  const errors: unknown[] = [];
  const settings = await loadSettings(path, {});
  const world = {
    settings,
    driver: control,
    overrides: await OverrideStore.open(join(folder.path, 'orders.json'), Date.now, assert.ifError),
    discovered: stack.use(await KnownServices.open(join(folder.path, 'services.json'), () => {})),
    endpoints: stack.use(await KnownEndpoints.open(join(folder.path, 'endpoints.json'), () => {})),
    files: nothingKept,
    certificates: await Certificates.open(settings.config),
    heartbeat: { during: <T>(work: () => Promise<T>) => work() },
    env: {},
    hostname: 'here',
    onSecret() {},
    report(happening: Happening) {
      if (happening.kind === 'reconcile_failed') errors.push(happening.error);
    },
  };
  const instance = main(world, stopping.signal);
  instance.start();
  const atEnd = stack.move();
  return { instance, stopping, errors, [Symbol.asyncDispose]: () => atEnd.disposeAsync() };
}
