/**
 * Several commands on one line of the runtime API, and their answers told apart. Each line says first who answers:
 * after a reload the old process may still sit behind the same socket, and what it is told changes nothing.
 */
import { type Info, parseInfo } from './info.ts';

export type Frame = {
  /** What the master's command line wants before each command: `@1 `. */
  readonly prefix?: string;
  /** Of a line, see `maxLineBytes`. */
  readonly maxBytes?: number;
};

export type FramedAnswer = {
  /** Who answered; null where it did not say, and then nobody knows what became of the commands. */
  readonly from: Info | null;
  /** One a command, without blanks around it; fewer where the answer was cut short. */
  readonly replies: readonly string[];
};

/** One line, without a line feed, and what it is about. */
export type Framed<T> = { readonly line: string; readonly items: readonly T[] };

/** One line of a few questions, without a line feed. What may be more is cut by `frames`. */
export function frame(commands: readonly string[], { prefix = '' }: Frame = {}): string {
  return [whoAnswers, ...commands]
    .flatMap((command) => [command, mark])
    .map((part) => `${prefix}${part}`)
    .join(';');
}

/**
 * As few lines as hold the commands of all items. Those of one item are never on two lines: where they alone are too long,
 * HAProxy refuses them. `head` begins each line.
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
 * A buffer (`tune.bufsize`, 16 kB) is where 3.2 refuses a line, and all versions end the connection at a command. Half of
 * it costs nothing: a line more is a tenth of a millisecond.
 */
export const defaultMaxLineBytes = 8_000;

const whoAnswers = 'show info';

/**
 * Answers have no length and no certain end: success is mostly an empty line, and 2.6 leaves that out after some words.
 * So a question stands between the commands whose answer is known and short in every version.
 */
const mark = 'show cli level';

function bytesOf(commands: readonly string[], prefix: string): number {
  return commands.reduce((sum, command) => sum + Buffer.byteLength(`${prefix}${command};${prefix}${mark};`), 0);
}

/** What stands before each mark; what comes after the last one was cut short. */
function answersIn(answer: string): string[] {
  return answer
    .split(/^(?:admin|operator|user)\n/m)
    .slice(0, -1)
    .map((text) => text.trim());
}

function infoIn(text: string): Info | null {
  return /^Version: \d/m.test(text) && /^Pid: \d+$/m.test(text) ? parseInfo(text) : null;
}
