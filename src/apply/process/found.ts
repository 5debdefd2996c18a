/** What Myelin finds at its start: the folder of our HAProxies, the living processes, and the executable. */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { generationsFolder } from '../../config/paths.ts';
import { AppError } from '../../errors.ts';
import { type Binary, findBinary } from '../../haproxy/binary/binary.ts';
import { makeFolder } from '../../lib/files/files.ts';
import { wallClock } from '../../lib/time/clock.ts';
import type { DriverContext } from '../driver.ts';
import { asAppError } from '../problems.ts';
import { assertOwn, removeLeftovers } from './handover.ts';
import { type Recovered, recover } from './recover.ts';

export type Found = {
  /** The folder of all generations. */
  readonly root: string;
  readonly recovered: Recovered;
  /** null where the executable cannot be run. */
  readonly binary: Binary | null;
};

export async function find(context: DriverContext, signal: AbortSignal): Promise<Found> {
  const { env, tolerate } = context;
  const config = context.config();
  const { haproxy, reload } = config;
  for (const path of [generationsFolder(config), dirname(haproxy.statsSocket)]) await makeFolder(path);
  const binary = await findBinary(haproxy.binary, env.PATH, { signal }).catch(asAppError);
  signal.throwIfAborted();
  const known = binary instanceof AppError ? null : binary;
  // The real path, because it is searched for in HAProxy's command line, however the config spells it.
  const root = await realpath(generationsFolder(config));
  if (haproxy.handover !== undefined) {
    await assertOwn(root);
    await tolerate(removeLeftovers(root, wallClock()));
  }
  const recovered = await recover({
    ...context,
    state: root,
    startTimeoutMs: reload.startTimeout,
    binary: known?.identity ?? null,
    signal,
  });
  // A serving process needs no executable; without both there is nothing to do here.
  if (binary instanceof AppError && recovered.serving === null) throw binary;
  return { root, recovered, binary: known };
}
