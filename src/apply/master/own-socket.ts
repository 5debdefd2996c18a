/**
 * A worker that serves while its master does not answer: the master is stopped, or its socket was removed. Commands
 * for the worker then go over the worker's own socket, where the file has one that Myelin may use.
 */
import { AppError, describe } from '../../errors.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import { AdminSession } from '../../haproxy/cli/held-connection.ts';
import { type Info, parseInfo } from '../../haproxy/cli/info.ts';
import { prefixOf } from '../../haproxy/cli/master.ts';
import { ask } from '../../haproxy/cli/socket.ts';
import type { Ms } from '../../model.ts';

const answerWithinMs: Ms = 500;

type Answerer = {
  readonly info: Info;
  /** Whether the socket takes every command: one of a lower level refuses each that changes a server. */
  readonly isAdmin: boolean;
};

const whoAnswers = ['show info float', 'show cli level'];

function parseAnswerer(answer: string): Answerer {
  return { info: parseInfo(answer), isAdmin: /^admin$/m.test(answer) };
}

/** null where nobody answers. */
export async function readAnswerer(socket: string): Promise<Answerer | null> {
  return ask(socket, whoAnswers, { timeoutMs: answerWithinMs }).then(parseAnswerer, () => null);
}

/**
 * Sends commands to the worker directly, not by its master. Another process may answer at the socket by now, or the
 * socket may refuse commands, which says nothing of what the worker can do: both are checked first, on one connection.
 */
export function askingOwnSocket(socket: () => string, pid: number): Ask {
  return async (line) => {
    const path = socket();
    const session = await AdminSession.open(path);
    try {
      const { info, isAdmin } = parseAnswerer(await session.ask(whoAnswers.join(';')));
      if (info.pid !== pid)
        throw new AppError('MYELIN_SOCKET_FAILED', `process ${info.pid} answers at ${path} in the place of ${pid}`);
      if (!isAdmin)
        throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy's socket ${path} is not of level admin`, {
          remedy: 'give that `stats socket` the words `level admin`, or let the master answer again',
        });
      return await session.ask(withoutPrefix(line, pid));
    } finally {
      session.close();
    }
  };
}

/** Removes the master's `@` prefix for this worker from each command of the line. */
export function withoutPrefix(line: string, pid: number): string {
  return line.replaceAll(new RegExp(`(^|(?<!\\\\);)${prefixOf(pid)}`, 'g'), '$1');
}

const remedy =
  'reload HAProxy the way it was started (`systemctl reload haproxy`, or SIGUSR2 to its master), which makes its socket ' +
  'anew; a master that was stopped (SIGSTOP) has to go on (SIGCONT)';

/** The worker answers, its master does not. */
export function withoutMaster(pid: number, cause: unknown, { isAdmin }: Pick<Answerer, 'isAdmin'>): AppError {
  const servers = isAdmin
    ? 'its servers follow over its own socket, but nothing can be reloaded'
    : 'its servers cannot follow, because its own socket is not of level admin, nor can anything be reloaded';
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `HAProxy’s master does not answer (${describe(cause)}): its worker ${pid} serves on and ${servers}`,
    { cause, remedy },
  );
}

/** The master runs, but its socket is gone, and its worker cannot be queried either. */
export function outOfReach(pid: number, socket: string): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `HAProxy’s master listens on ${socket}, which was removed: its worker ${pid} cannot be asked, and serves on as it is`,
    { remedy },
  );
}
