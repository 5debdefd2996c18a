/** Deletes removed servers once they are idle, in leaving processes too. */
import type { Ms } from '../../model.ts';
import type { DriverEvent } from '../driver-event.ts';
import { unexpectedReply } from '../problems.ts';
import type { Worker } from './worker.ts';

type Reaped = Pick<Worker, 'pid' | 'reap'>;

/** A process that does not answer does not delay the others. */
export async function reap(
  workers: readonly (Reaped | null | undefined)[],
  drainTimeoutMs: Ms,
  onEvent: (event: DriverEvent) => void,
): Promise<void> {
  const reapOne = async (worker: Reaped): Promise<void> => {
    await reapServersOf(worker, drainTimeoutMs, onEvent).catch((error: unknown) => onEvent({ kind: 'trouble', error }));
  };
  await Promise.all(workers.filter((worker) => worker != null).map(reapOne));
}

async function reapServersOf(worker: Reaped, drainTimeoutMs: Ms, onEvent: (event: DriverEvent) => void): Promise<void> {
  const { closed, unexpected } = await worker.reap(drainTimeoutMs);
  const { pid } = worker;
  if (closed > 0) onEvent({ kind: 'connections_closed', limit: 'drain_timeout', pid, connections: closed });
  for (const reply of unexpected) onEvent({ kind: 'trouble', error: unexpectedReply(reply) });
}
