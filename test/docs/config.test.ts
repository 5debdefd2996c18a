import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { builtIn } from '../../src/config/schema/watchers.ts';
import { config } from '../../src/config/schema.ts';
import { load } from '../support/values/config.ts';
import { sectionsOf, withTables } from './config-tables.ts';

const path = fileURLToPath(new URL('../../docs/reference/config.md', import.meta.url));
const page = await readFile(path, 'utf8');
const ofSources = [...builtIn].flatMap(([type, { query, discovery }]) => [
  [`query.${type}`, query] as const,
  ...[discovery?.keys].filter(hasKeys).map((keys) => [`discover.${type}`, keys] as const),
]);
const all = sectionsOf(config, '');
const sections = { ...all, discover: withoutKeysOfSources(all.discover), ...Object.fromEntries(ofSources) };

/** A file needs none: its services say themselves that they are to be discovered. */
function hasKeys(keys: z.ZodObject | undefined): keys is z.ZodObject {
  return Object.keys(keys?.shape ?? {}).length > 0;
}

/** What is the same for every source. */
function withoutKeysOfSources(discover: z.ZodObject | undefined): z.ZodObject {
  const own = [...builtIn.values()].flatMap(({ discovery }) => Object.keys(discovery?.keys.shape ?? {}));
  return z.strictObject(
    Object.fromEntries(Object.entries(discover?.shape ?? {}).filter(([key]) => !own.includes(key))),
  );
}

test('the reference of the config shows every key with the default and meaning that the schema has', (t: TestContext) => {
  // Those of `discover.*.service` are the keys of a service.
  const own = Object.keys(sections).filter((name) => !name.startsWith('discover.service'));
  for (const name of own) assert.ok(page.includes(`<!-- keys: ${name} -->`), `no table for ${name}`);
  t.assert.fileSnapshot(withTables(page, sections), path, { serializers: [(text: string) => text] });
});

test('every config that the reference shows is valid', async () => {
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  assert.ok(examples.length >= 3);
  for (const example of examples) await load(example);
});
