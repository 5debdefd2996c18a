/**
 * A worker that serves while its master does not answer: the master is stopped, or somebody has removed its socket. What is
 * for the worker then goes over the worker's own socket, where the file has one that Myelin may use.
 */
import { AppError, describe } from '../../errors.ts';
import { AdminSession } from '../../haproxy/cli/admin-session.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import { type Info, parseInfo } from '../../haproxy/cli/info.ts';
import { prefixOf } from '../../haproxy/cli/master.ts';
import { ask } from '../../haproxy/cli/socket.ts';
import type { Ms } from '../../model.ts';

const answerWithinMs: Ms = 500;

/** Who answers there; null: nobody. */
export async function readOwnInfo(socket: string): Promise<Info | null> {
  return ask(socket, ['show info float'], { timeoutMs: answerWithinMs }).then(parseInfo, () => null);
}

/**
 * What is for this worker at its master is sent to itself. Another one may sit behind the socket by now: who does is asked
 * first, on the same connection.
 */
export function askingOwnSocket(socket: () => string, pid: number): Ask {
  return async (line) => {
    const path = socket();
    const session = await AdminSession.open(path);
    try {
      const info = parseInfo(await session.ask('show info'));
      if (info.pid === pid) return await session.ask(withoutPrefix(line, pid));
      throw new AppError('MYELIN_SOCKET_FAILED', `process ${info.pid} answers at ${path} in the place of ${pid}`);
    } finally {
      session.close();
    }
  };
}

/** A line for this worker without what tells its master so, before each command. */
export function withoutPrefix(line: string, pid: number): string {
  return line.replaceAll(new RegExp(`(^|(?<!\\\\);)${prefixOf(pid)}`, 'g'), '$1');
}

const remedy =
  'reload HAProxy the way it was started (`systemctl reload haproxy`, or SIGUSR2 to its master), which makes its socket ' +
  'anew; a master that was stopped (SIGSTOP) has to go on (SIGCONT)';

/** The worker can be asked, its master cannot. */
export function withoutMaster(pid: number, cause: unknown): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `HAProxy’s master does not answer (${describe(cause)}): its worker ${pid} serves on and its servers follow over its own ` +
      'socket, but nothing can be reloaded',
    { cause, remedy },
  );
}

/** The master is there, and no path leads to it any more; nor can its worker be asked. */
export function outOfReach(pid: number, socket: string): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `HAProxy’s master listens on ${socket}, which was removed: its worker ${pid} cannot be asked, and serves on as it is`,
    { remedy },
  );
}
