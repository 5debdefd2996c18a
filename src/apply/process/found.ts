/** What there is at a start: the folder of our HAProxies, those that live, and an executable to start more from. */
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
  /** null where it cannot be run. */
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
  // HAProxy's command line is looked for this path, however it is spelled in the config.
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
  // What runs is more than what could be started; without either there is nothing to do here.
  if (binary instanceof AppError && recovered.serving === null) throw binary;
  return { root, recovered, binary: known };
}
