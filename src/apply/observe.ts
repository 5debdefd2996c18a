/** Looks at what runs without touching or locking anything: for `myelin plan`. */
import { realpath } from 'node:fs/promises';
import type { Config } from '../config/schema.ts';
import { hasCode } from '../errors.ts';
import { parseVersion, type Version } from '../haproxy/version.ts';
import type { Section } from '../model.ts';
import { configFile } from './files.ts';
import { generationAt, livingGenerations, readProof, readSections } from './generation.ts';
import { sectionsOf } from './sections.ts';

export type Observed = {
  readonly sections: readonly Section[];
  /** Of the process that runs; null where it is somebody else's, who takes no commands from us. */
  readonly version: Version | null;
};

/** What is live; null where nothing of ours runs. Of controls other than `process`: the file. */
export async function observe({ haproxy, state }: Pick<Config, 'haproxy' | 'state'>): Promise<Observed | null> {
  if (haproxy.control !== 'process') {
    const text = await configFile(haproxy.config).read();
    return text === null ? null : { sections: sectionsOf(text, null), version: null };
  }
  const folder = await realpath(state).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (folder === null) return null;
  const newestFirst = [...livingGenerations(folder).keys()].sort((a, b) => b - a);
  for (const number of newestFirst) {
    const generation = generationAt(folder, number);
    const proof = await readProof(generation);
    if (proof === null) continue;
    const sections = await readSections(generation);
    return sections === null ? null : { sections, version: parseVersion(proof.version) };
  }
  return null;
}
