/** Looks at what runs without touching or locking anything: for `myelin plan`. */
import { realpath } from 'node:fs/promises';
import { generationsFolder } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import { hasCode } from '../../errors.ts';
import { parseVersion, type Version } from '../../haproxy/binary/version.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import { configFile } from '../../lib/files/config-file.ts';
import type { Section } from '../../model.ts';
import { isAlive } from '../system/processes.ts';
import { type Generation, generationAt, livingGenerations, recordIn } from './generation.ts';
import { readReady, readSections } from './records.ts';
import { sectionsOf } from './sections.ts';

export type Observed = {
  readonly sections: readonly Section[];
  /** Version of the running process; null where somebody else runs it and it takes no commands from us. */
  readonly version: Version | null;
  /** The process, where it is one of this machine and lives; else null. */
  readonly pid: number | null;
};

/** What is live; with control `master`, what was ready last; null where no HAProxy of ours runs. */
export async function observe({ haproxy, state }: Pick<Config, 'haproxy' | 'state'>): Promise<Observed | null> {
  switch (haproxy.control) {
    case 'process':
      return observeProcesses(generationsFolder({ haproxy, state }));
    case 'master':
      return (await readRecord(recordIn(state))) ?? (await readFile(haproxy.config, recordIn(state)));
    case 'command':
    case 'none':
      return readFile(haproxy.config, recordIn(state));
  }
}

async function observeProcesses(generations: string): Promise<Observed | null> {
  const folder = await realpath(generations).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (folder === null) return null;
  const newestFirst = [...(await livingGenerations(folder)).keys()].sort((a, b) => b - a);
  for (const number of newestFirst) {
    const generation = generationAt(folder, number);
    if ((await readReady(generation)) !== null) return readRecord(generation);
  }
  return null;
}

/** null where it is not known which process runs it. */
async function readRecord(generation: Generation): Promise<Observed | null> {
  const [ready, sections] = [await readReady(generation), await readSections(generation)];
  return ready === null || sections === null
    ? null
    : { sections, version: parseVersion(ready.version), pid: isAlive(ready) ? ready.pid : null };
}

/** Includes the files beside it, where `record` belongs to this file. */
async function readFile(path: string, record: Generation): Promise<Observed | null> {
  const text = await configFile(path).read();
  if (text === null) return null;
  const recorded = await readSections(record);
  const isRecorded = recorded !== null && textOf(recorded) === text;
  return { sections: isRecorded ? recorded : sectionsOf(text, null), version: null, pid: null };
}
