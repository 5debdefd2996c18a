/** Configs of all kinds, and what Helm with the schema of the chart's values makes of them. */

import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { initText } from '../../../src/config/print/init.ts';
import { builtIn } from '../../../src/config/schema/watchers.ts';
import { helm } from '../../servers/helm.ts';
import { tempFolder } from '../index.ts';
import { configSchema } from '../values/chart-schema.ts';

export type Config = Readonly<Record<string, unknown>>;

const record = z.record(z.string(), z.unknown());
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Everything that docs show as YAML, and what `myelin init` writes; a part of a config gets a watcher. */
export async function shownConfigs(): Promise<readonly Config[]> {
  const pages = await Promise.all(
    ['README.md', ...globSync('docs/**/*.md', { cwd: root })].map((page) => readFile(join(root, page), 'utf8')),
  );
  const shown = pages.flatMap((page) => [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text));
  const texts = [...shown, ...[...builtIn.keys()].map((type) => initText(type))];
  const written = texts.flatMap((text) => parseAllDocuments(text, { merge: true }).map((document) => document.toJS()));
  return written.flatMap((value) => {
    const { success, data } = record.safeParse(value);
    return success ? [data, { watchers: { consul: {} }, ...data }] : [];
  });
}

/** With `${X:-…}` for each text, number, true and false. */
export function substituted(config: Config): Config {
  const replace = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(replace);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replace(inner)]));
    return value === null || /[${}]/.test(String(value)) ? value : `\${X:-${String(value)}}`;
  };
  return record.parse(replace(config));
}

/** By index: the lines in which Helm says why the schema refuses it. One run judges all of them. */
export async function refusals(configs: readonly Config[]): Promise<ReadonlyMap<number, readonly string[]>> {
  await using folder = await tempFolder();
  const { config, $defs } = configSchema();
  const schema = { properties: { configs: { type: 'array', items: config } }, $defs };
  await mkdir(join(folder.path, 'templates'));
  await writeFile(join(folder.path, 'Chart.yaml'), 'apiVersion: v2\nname: configs\nversion: 1.0.0\n');
  await writeFile(join(folder.path, 'values.schema.json'), JSON.stringify(schema));
  await writeFile(join(folder.path, 'values.yaml'), JSON.stringify({ configs }));
  const { status, stderr } = await helm('template', 'configs', folder.path);
  const lines = [...stderr.matchAll(/- at '\/configs\/(\d+)(.*)/g)];
  if (status !== 0 && lines.length === 0) throw new Error(stderr);
  const byIndex = Map.groupBy(lines, ([, index]) => Number(index));
  return new Map([...byIndex].map(([index, its]) => [index, its.map(([, , words = '']) => words)]));
}
