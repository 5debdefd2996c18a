/** Makes sure that a server has the state that an operator gave it, in the serving process. */
import type { Runtime } from '../../apply/driver.ts';
import { AppError } from '../../errors.ts';
import { isOutOfService } from '../../haproxy/resources/servers/drift.ts';
import { ownerOf } from '../../haproxy/resources/servers/read-back.ts';
import type { RuntimeCommand } from '../../model.ts';
import type { OverrideRequest } from './override-store.ts';
import { isOverridden } from './overrides.ts';

/**
 * Where the server's line waits for a reload, a command takes the server out. Throws an AppError where the state is not
 * as it should be.
 */
export async function enforceOverride(
  { backend, server, state }: OverrideRequest,
  runtime: Runtime,
  onCommands: (commands: readonly RuntimeCommand[]) => void,
): Promise<void> {
  const owner = ownerOf(backend);
  const isDone = async (): Promise<boolean> =>
    state === null
      ? !isOverridden(runtime.running.sections, backend, server)
      : isOutOfService((await runtime.observe([owner])).get('server')?.get(owner), server, state);
  if (await isDone()) return;
  if (state === 'maint') {
    const commands = [{ kind: 'server', action: state, backend, server, hasAgent: true } as const];
    const outcome = await runtime.applyCommands(commands, runtime.running);
    onCommands(commands);
    if (outcome.kind === 'failed') throw outcome.error;
    if (await isDone()) return;
  }
  const what = state === null ? 'has not put back' : 'still sends new connections to';
  throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy ${what} ${backend}/${server}`, {
    remedy: 'the override stays and is retried; `myelin status` says what it waits for',
  });
}
