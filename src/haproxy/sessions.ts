/** Ends the connections of one HAProxy over its own command line: where it runs elsewhere, no signal reaches it. */
import { framedBytes, maxFrameBytes } from './framing.ts';
import type { Ask } from './read-back.ts';

/** Closes what it serves; a worker that was told to leave then ends. */
export async function shutDownSessions(ask: Ask, prefix: string): Promise<void> {
  const commands = sessionsIn(await ask(`${prefix}show sess`)).map((session) => `shutdown session ${session}`);
  const lines: string[][] = [];
  let bytes = maxFrameBytes;
  for (const command of commands) {
    const its = framedBytes(command, { prefix });
    if (bytes + its > maxFrameBytes) {
      lines.push([]);
      bytes = 0;
    }
    lines.at(-1)?.push(`${prefix}${command}`);
    bytes += its;
  }
  for (const line of lines) await ask(line.join(';'));
}

/** All but those of its own command line, ours among them. */
export function sessionsIn(answer: string): readonly string[] {
  return [...answer.matchAll(/^(0x[0-9a-f]+): .*? fe=(\S+) /gm)].flatMap(([, session = '', frontend]) =>
    frontend === 'GLOBAL' || frontend === 'MASTER' ? [] : [session],
  );
}
