/**
 * Puts several commands on one line of the runtime API, and splits the answer by command. Each line begins with `show info`,
 * which names the process that answers: after a reload the old process may still be behind the same socket, where commands
 * change nothing that serves.
 */
import { type Info, parseInfo } from './info.ts';
import { separatorAfter } from './payload.ts';

export type Frame = {
  /** What a master's command line needs before each command: `@1 `. */
  readonly prefix?: string;
  /** The longest line, see `maxLineBytes`. */
  readonly maxBytes?: number;
};

export type FramedAnswer = {
  /** The process that answered; null where the answer does not say, so that the outcome of the commands is unknown. */
  readonly from: Info | null;
  /** One for each command, without blanks around it; fewer where the answer was cut short. */
  readonly replies: readonly string[];
};

/** One line, without a line feed at its end, and what it is about. A payload in it has line feeds. */
export type Framed<T> = { readonly line: string; readonly items: readonly T[] };

/** Puts commands on one line, without a line feed. `frames` divides any number of commands among lines. */
export function frame(commands: readonly string[], { prefix = '' }: Frame = {}): string {
  return [whoAnswers, ...commands]
    .map((command) => `${prefix}${command}${separatorAfter(command)}${prefix}${mark}`)
    .join(';');
}

/**
 * Puts the commands of all items on as few lines as possible. The commands of one item share a line: where they alone are too
 * long, HAProxy refuses them. `head` begins each line.
 */
export function frames<T>(
  items: readonly T[],
  commandsOf: (item: T) => readonly string[],
  { prefix = '', maxBytes = defaultMaxLineBytes, head = [] }: Frame & { readonly head?: readonly string[] } = {},
): readonly Framed<T>[] {
  const lines: { commands: string[]; bytes: number; items: T[] }[] = [];
  for (const item of items) {
    const commands = commandsOf(item);
    const bytes = bytesOf(commands, prefix);
    let line = lines.at(-1);
    if (line === undefined || line.bytes + bytes > maxBytes) {
      line = { commands: [...head], bytes: bytesOf([whoAnswers, ...head], prefix), items: [] };
      lines.push(line);
    }
    for (const command of commands) line.commands.push(command);
    line.bytes += bytes;
    line.items.push(item);
  }
  return lines.map(({ commands, items }) => ({ line: frame(commands, { prefix }), items }));
}

export function unframe(answer: string): FramedAnswer {
  const [first = '', ...replies] = answersIn(answer);
  return { from: infoIn(first), replies };
}

/**
 * Half of HAProxy's buffer (`tune.bufsize`, 16 kB). HAProxy 3.2 refuses a line that is longer than the buffer, and every version
 * closes the connection at such a command. One more line costs a tenth of a millisecond.
 */
export const defaultMaxLineBytes = 8_000;

const whoAnswers = 'show info';

/**
 * Stands between the commands, because its answer is known and short in every version. The answers of HAProxy have no length
 * and no certain end: success is mostly an empty line, which 2.6 leaves out after some commands.
 */
const mark = 'show cli level';

function bytesOf(commands: readonly string[], prefix: string): number {
  return commands.reduce((sum, command) => sum + Buffer.byteLength(`${prefix}${command};${prefix}${mark};`), 0);
}

/** The text before each mark. Text after the last mark belongs to an answer that was cut short. */
function answersIn(answer: string): string[] {
  return answer
    .split(/^(?:admin|operator|user)\n/m)
    .slice(0, -1)
    .map((text) => text.trim());
}

function infoIn(text: string): Info | null {
  return /^Version: \d/m.test(text) && /^Pid: \d+$/m.test(text) ? parseInfo(text) : null;
}
