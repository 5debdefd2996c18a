/** Queries may change while their source runs, and a watcher may be of a user: what it does must not harm the others. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { describe } from '../../../src/errors.ts';
import type { SourceEvent } from '../../../src/model.ts';
import { Sources } from '../../../src/sources/sources.ts';
import { tempFolder, until } from '../../support/index.ts';

const onFault = (error: unknown): never => {
  throw error;
};

test('sources: a late result of the old queries is ignored after the queries have changed', async () => {
  await using folder = await tempFolder();
  const services = ['a', 'b', 'c'];
  await writeFile(join(folder.path, 'services.yaml'), 'services: { old: ["127.0.0.1:1"], new: ["127.0.0.1:2"] }\n');
  /** Each of them asks for the service `name` of the file. */
  const asking = async (name: string): Promise<Config> => {
    const path = join(folder.path, `${name}.yaml`);
    const lines = services.map((service) => `  ${service}: { from: { file: { service: ${name} } } }\n`);
    await writeFile(path, `watchers: { file: { path: services.yaml } }\nservices:\n${lines.join('')}`);
    return (await loadConfig(path, {})).config;
  };
  const [before, after] = [await asking('old'), await asking('new')];

  const received: SourceEvent[] = [];
  let changing: Promise<void> | undefined;
  await using sources = new Sources({
    env: {},
    onEvent(event) {
      received.push(event);
      // The first of three results is in: the others are on their way.
      if (event.kind === 'endpoints') changing ??= sources.use(after);
    },
    onFault,
  });
  await sources.use(before);
  await until('the new queries have results', () => received.at(-1)?.kind === 'synced');
  await changing;
  const ports = received.map((event) => (event.kind === 'endpoints' ? event.endpoints[0]?.port : event.kind));
  assert.deepEqual(ports, ['started', 1, 2, 2, 2, 'synced']);
});

test('sources: new queries are no new start of a source, other settings are', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  const asking = async (file: string, ...services: readonly string[]): Promise<Config> => {
    const list = services.map((name) => `${name}: ["127.0.0.1:1"]`).join(', ');
    await writeFile(join(folder.path, file), `services: { ${list} }\n`);
    const lines = services.map((name) => `  ${name}: {}\n`);
    await writeFile(path, `watchers: { file: { path: ${file} } }\nservices:\n${lines.join('')}`);
    return (await loadConfig(path, {})).config;
  };
  let received: string[] = [];
  await using sources = new Sources({
    env: {},
    onEvent: (event) => received.push('key' in event ? event.key : event.kind),
    onFault,
  });
  const receives = async (config: Config): Promise<readonly string[]> => {
    received = [];
    await sources.use(config);
    await until('all queries have results', () => received.at(-1) === 'synced');
    return received.toSorted();
  };
  assert.deepEqual(await receives(await asking('one.yaml', 'web')), ['started', 'synced', 'web']);
  assert.deepEqual(await receives(await asking('one.yaml', 'web', 'db')), ['db', 'synced', 'web']);
  assert.deepEqual(await receives(await asking('two.yaml', 'web', 'db')), ['db', 'started', 'synced', 'web']);
});

test('sources: a new config that arrives at the end starts nothing', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { file: { path: services.yaml } }\nservices: { web: {} }\n');
  const { config } = await loadConfig(path, {});
  const received: SourceEvent[] = [];
  const sources = new Sources({ env: {}, onEvent: (event) => received.push(event), onFault });
  const taken = sources.use(config);
  await sources[Symbol.asyncDispose]();
  await taken;
  await sources.use(config);
  assert.deepEqual(received, []);
});

test('sources: a result that cannot be processed makes its query stale, and the source is followed all the same', async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'services.yaml'), 'services: { bad: ["127.0.0.1:1"], good: ["127.0.0.1:2"] }\n');
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { file: { path: services.yaml } }\nservices: { bad: {}, good: {} }\n');
  const { config } = await loadConfig(path, {});
  const received: string[] = [];
  const faults: string[] = [];
  await using sources = new Sources({
    env: {},
    onEvent(event) {
      if (event.kind === 'endpoints' && event.key === 'bad') throw new RangeError('too much');
      received.push(event.kind === 'stale' ? `${event.key}: ${event.reason}` : event.kind);
    },
    onFault: (error) => faults.push(describe(error)),
  });
  await sources.use(config);
  await until('it is synced', () => received.at(-1) === 'synced');
  const reason = 'an update of file could not be processed: too much';
  assert.deepEqual(received.toSorted(), [`bad: ${reason}`, 'endpoints', 'started', 'synced']);
  assert.deepEqual(faults, [reason]);
});

/** A config with one watcher of a user's own, whose `open` is this code. */
async function ownWatcher(folder: string, open: string): Promise<Config> {
  const path = join(folder, 'myelin.yaml');
  await writeFile(
    join(folder, 'own.ts'),
    `import { defineSource, watching, z } from 'myelin/watcher';
    export const source = defineSource({
      type: 'own', settings: z.strictObject({}), query: z.strictObject({}),
      ${open}
    });`,
  );
  await writeFile(path, 'watchers: { mine: { type: ./own.ts } }\nservices: { web: {} }\n');
  return (await loadConfig(path, {})).config;
}

/** Each calls `onSecret` when it has begun to hang. */
const hanging = {
  'hangs in open': 'open: (_, { onSecret }) => { onSecret("hangs"); return new Promise(() => {}); },',
  'ignores its signal':
    'open: (_, { onSecret }) => async function* () { onSecret("hangs"); await new Promise(() => {}); },',
  'does not come to an end':
    'open: (_, { onSecret }) => watching(() => { onSecret("hangs"); return new Promise(() => {}); }),',
};

for (const [what, open] of Object.entries(hanging))
  test(`sources: a watcher that ${what} holds up a stop for a limited time, and is named`, async () => {
    await using folder = await tempFolder();
    const left: string[] = [];
    const begun = Promise.withResolvers<unknown>();
    const sources = new Sources({
      env: {},
      onEvent: () => {},
      onFault,
      onHanging: (name) => left.push(name),
      onSecret: begun.resolve,
      stopWithinMs: 50,
    });
    await sources.use(await ownWatcher(folder.path, open));
    await begun.promise;
    await sources[Symbol.asyncDispose]();
    assert.deepEqual(left, ['mine']);
  });

test('sources: a watcher that ends in time is not named, and its open is told of the stop', async () => {
  await using folder = await tempFolder();
  const left: string[] = [];
  const begun = Promise.withResolvers<unknown>();
  const sources = new Sources({
    env: {},
    onEvent: () => {},
    onFault,
    onHanging: (name) => left.push(name),
    onSecret: begun.resolve,
  });
  const open = `open: (_, { onSecret, signal }) => {
    onSecret('begun');
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  },`;
  await sources.use(await ownWatcher(folder.path, open));
  await begun.promise;
  await sources[Symbol.asyncDispose]();
  assert.deepEqual(left, []);
});

const failing = {
  'returns nothing to iterate over': 'open: () => () => undefined as never,',
  'throws at once': 'open: () => () => { throw new Error("no code") },',
  'throws at once within watching': 'open: () => watching(() => { throw new Error("no code") }),',
  'cannot be opened': 'open: () => { throw new Error("no code") },',
  'ends by itself': 'open: () => async function* () { yield { kind: "synced" } },',
};

for (const [what, open] of Object.entries(failing))
  test(`sources: a watcher that ${what} is a source that fails and is started again`, async () => {
    await using folder = await tempFolder();
    const received: SourceEvent[] = [];
    await using sources = new Sources({ env: {}, onEvent: (event) => received.push(event), onFault });
    await sources.use(await ownWatcher(folder.path, open));
    const count = (kind: SourceEvent['kind']) => received.filter((event) => event.kind === kind).length;
    await until('it has failed twice', () => count('failed') >= 2);
    assert.ok(count('started') >= 2);
  });
