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
  /** What the process runs that serves; empty where that is not known. */
  readonly running: readonly Section[];
  /** Asks the process that serves; null where there is none. */
  readonly readState: (() => Promise<ServersState>) | null;
  /** For what must not keep the start from happening. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
};

/** What goes down after this is taken for healthy until it is checked. */
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

/** Nothing is known of any server: what is started later by somebody else shall find out by itself. */
export async function forgetHealth(config: HealthNote['config']): Promise<void> {
  const file = serverStateFile(config);
  if (file !== null) await writeNone(file);
}

/** Where the disk is full, no file says the same, though HAProxy warns of it: nothing has to wait for room because of that. */
async function writeNone(file: string): Promise<void> {
  try {
    await writeDurably(file, noServerDown);
  } catch (error) {
    await rm(file, { force: true }).catch(() => {
      throw error;
    });
  }
}
