/** Questions may change while their source runs: what it said to the old ones must not pass for an answer to the new. */
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

const noFault = (error: unknown): never => {
  throw error;
};

test('what a source still had to say when its questions changed is not heard', async () => {
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

  const heard: SourceEvent[] = [];
  let changing: Promise<void> | undefined;
  await using sources = new Sources(
    {},
    (event) => {
      heard.push(event);
      // The first of three answers is in: the others are on their way.
      if (event.kind === 'endpoints') changing ??= sources.use(after);
    },
    noFault,
  );
  await sources.use(before);
  await until('the new questions are answered', () => heard.at(-1)?.kind === 'synced');
  await changing;
  const ports = heard.map((event) => (event.kind === 'endpoints' ? event.endpoints[0]?.port : event.kind));
  assert.deepEqual(ports, ['started', 1, 2, 2, 2, 'synced']);
});

test('a source that is asked more does not count as started anew, one that is asked elsewhere does', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  const asking = async (file: string, ...services: readonly string[]): Promise<Config> => {
    const list = services.map((name) => `${name}: ["127.0.0.1:1"]`).join(', ');
    await writeFile(join(folder.path, file), `services: { ${list} }\n`);
    const lines = services.map((name) => `  ${name}: {}\n`);
    await writeFile(path, `watchers: { file: { path: ${file} } }\nservices:\n${lines.join('')}`);
    return (await loadConfig(path, {})).config;
  };
  let heard: string[] = [];
  await using sources = new Sources({}, (event) => heard.push('key' in event ? event.key : event.kind), noFault);
  const hears = async (config: Config): Promise<readonly string[]> => {
    heard = [];
    await sources.use(config);
    await until('all is answered', () => heard.at(-1) === 'synced');
    return heard.toSorted();
  };
  assert.deepEqual(await hears(await asking('one.yaml', 'web')), ['started', 'synced', 'web']);
  assert.deepEqual(await hears(await asking('one.yaml', 'web', 'db')), ['db', 'synced', 'web']);
  assert.deepEqual(await hears(await asking('two.yaml', 'web', 'db')), ['db', 'started', 'synced', 'web']);
});

test('a new config that is being taken over when all ends starts nothing any more', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { file: { path: services.yaml } }\nservices: { web: {} }\n');
  const { config } = await loadConfig(path, {});
  const heard: SourceEvent[] = [];
  const sources = new Sources({}, (event) => heard.push(event), noFault);
  const taken = sources.use(config);
  await sources[Symbol.asyncDispose]();
  await taken;
  await sources.use(config);
  assert.deepEqual(heard, []);
});

test('an answer that cannot be taken is one stale question, and the source is heard on', async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'services.yaml'), 'services: { bad: ["127.0.0.1:1"], good: ["127.0.0.1:2"] }\n');
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { file: { path: services.yaml } }\nservices: { bad: {}, good: {} }\n');
  const { config } = await loadConfig(path, {});
  const heard: string[] = [];
  const faults: string[] = [];
  await using sources = new Sources(
    {},
    (event) => {
      if (event.kind === 'endpoints' && event.key === 'bad') throw new RangeError('too much');
      heard.push(event.kind === 'stale' ? `${event.key}: ${event.reason}` : event.kind);
    },
    (error) => faults.push(describe(error)),
  );
  await sources.use(config);
  await until('it is heard to the end', () => heard.at(-1) === 'synced');
  const said = 'what file said could not be taken: too much';
  assert.deepEqual(heard.toSorted(), [`bad: ${said}`, 'endpoints', 'started', 'synced']);
  assert.deepEqual(faults, [said]);
});
