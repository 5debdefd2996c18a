/** The file that tells a new HAProxy which servers are down, written as late as possible before each start. */
import { rm } from 'node:fs/promises';
import { serverStateFile } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import type { ServersState } from '../../haproxy/cli/info.ts';
import { writeDurably } from '../../lib/files/files.ts';
import type { Section } from '../../model.ts';
import { downServers, noServerDown } from './health.ts';

type HealthNote = {
  readonly config: Pick<Config, 'state' | 'haproxy'>;
  readonly sections: readonly Section[];
  /** What the serving process runs; empty where that is not known. */
  readonly running: readonly Section[];
  /** Queries the serving process; null where there is none. */
  readonly readState: (() => Promise<ServersState>) | null;
  /** For work whose failure must not prevent the start. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
};

/** A server that goes down after this counts as healthy until its first check. */
export async function noteHealth({ config, sections, running, readState, tolerate }: HealthNote): Promise<void> {
  const file = serverStateFile(config);
  if (file === null) return;
  let text = noServerDown;
  if (readState !== null)
    await tolerate(
      readState().then((state) => {
        text = downServers(state, sections, running);
      }),
    );
  if (text === noServerDown) await writeNone(file);
  else await writeDurably(file, text);
}

/** Empties the health file: a HAProxy that somebody starts later must check the servers by itself. */
export async function forgetHealth(config: HealthNote['config']): Promise<void> {
  const file = serverStateFile(config);
  if (file !== null) await writeNone(file);
}

/** On a full disk the file is removed instead, which means the same: HAProxy only warns, and the start goes on. */
async function writeNone(file: string): Promise<void> {
  try {
    await writeDurably(file, noServerDown);
  } catch (error) {
    await rm(file, { force: true }).catch(() => {
      throw error;
    });
  }
}
