/** Servers that were removed go once they are idle, in the processes that leave too. */
import type { Ms } from '../../model.ts';
import type { ControlEvent } from '../driver.ts';
import { unexpectedReply } from '../problems.ts';
import type { Worker } from './worker.ts';

type Tidied = Pick<Worker, 'pid' | 'tidy'>;

/** One process that does not answer holds up no other. */
export async function tidy(
  workers: readonly (Tidied | null | undefined)[],
  drainTimeoutMs: Ms,
  onEvent: (event: ControlEvent) => void,
): Promise<void> {
  const tidied = async (worker: Tidied): Promise<void> => {
    await tidyOne(worker, drainTimeoutMs, onEvent).catch((error: unknown) => onEvent({ kind: 'trouble', error }));
  };
  await Promise.all(workers.filter((worker) => worker != null).map(tidied));
}

async function tidyOne(worker: Tidied, drainTimeoutMs: Ms, onEvent: (event: ControlEvent) => void): Promise<void> {
  const { closed, unexpected } = await worker.tidy(drainTimeoutMs);
  const { pid } = worker;
  if (closed > 0) onEvent({ kind: 'connections_closed', limit: 'drain_timeout', pid, connections: closed });
  for (const { command, reply } of unexpected) onEvent({ kind: 'trouble', error: unexpectedReply(command, reply) });
}
