/** Ends the connections of one HAProxy over its own command line: where it runs elsewhere, no signal reaches it. */
import { AppError } from '../../errors.ts';
import type { Ask } from './ask.ts';
import { type Frame, frames, unframe } from './framing.ts';

/**
 * Closes all connections; a worker that was told to leave then ends. Throws an AppError where it refuses, unless
 * it is gone.
 */
export async function shutDownSessions(ask: Ask, options: Frame): Promise<void> {
  const sessions = sessionsIn(await ask(`${options.prefix ?? ''}show sess`));
  for (const { line } of frames(sessions, (session) => [`shutdown session ${session}`], options)) {
    const { from, replies } = unframe(await ask(line));
    const refusal = replies.find((reply) => !shut.test(reply));
    if (from !== null && refusal !== undefined)
      throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy answered ${JSON.stringify(refusal)} to shutdown session`);
  }
}

/** The replies that are fine: nothing, or that the session has ended by itself. */
const shut = /^(|No such session\b.*)$/;

/** All sessions but those of HAProxy's own command line, which include ours. */
export function sessionsIn(answer: string): readonly string[] {
  return [...answer.matchAll(/^(0x[0-9a-f]+): .*? fe=(\S+) /gm)].flatMap(([, session = '', frontend]) =>
    frontend === 'GLOBAL' || frontend === 'MASTER' ? [] : [session],
  );
}
