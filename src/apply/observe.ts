/** Looks at what runs without touching or locking anything: for `myelin plan`. */
import { realpath } from 'node:fs/promises';
import type { Config } from '../config/schema.ts';
import { hasCode } from '../errors.ts';
import type { Section } from '../model.ts';
import { configFile } from './files.ts';
import { generationAt, livingGenerations, readProof, readSections } from './generation.ts';
import { sectionsOf } from './sections.ts';

/** The sections that are live; null where nothing of ours runs. Of controls other than `process`: the file's. */
export async function observe({
  haproxy,
  state,
}: Pick<Config, 'haproxy' | 'state'>): Promise<readonly Section[] | null> {
  if (haproxy.control !== 'process') {
    const text = await configFile(haproxy.config).read();
    return text === null ? null : sectionsOf(text, null);
  }
  const folder = await realpath(state).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (folder === null) return null;
  const newestFirst = [...livingGenerations(folder).keys()].sort((a, b) => b - a);
  for (const number of newestFirst) {
    const generation = generationAt(folder, number);
    if ((await readProof(generation)) !== null) return readSections(generation);
  }
  return null;
}
