/**
 * Several commands on one line of the runtime API, and their answers told apart. Each line says first who answers:
 * after a reload the old process may still sit behind the same socket, and what it is told changes nothing.
 */
import { type Info, parseInfo } from './info.ts';

export type Frame = {
  /** What the master's command line wants before each command: `@1 `. */
  readonly prefix?: string;
};

export type FramedAnswer = {
  /** Who answered; null where it did not say, and then nobody knows what became of the commands. */
  readonly from: Info | null;
  /** One a command, without blanks around it; fewer where the answer was cut short. */
  readonly replies: readonly string[];
};

/** One line for one connection, without a line feed. */
export function frame(commands: readonly string[], { prefix = '' }: Frame = {}): string {
  const parts = [whoAnswers, ...commands].flatMap((command) => [command, mark]);
  return parts.map((part) => `${prefix}${part}`).join(';');
}

export function unframe(answer: string): FramedAnswer {
  const [first = '', ...replies] = answersIn(answer);
  return { from: infoIn(first), replies };
}

/** As few lines as hold all of the commands, each with its commands. */
export function frames(
  commands: readonly string[],
  options?: Frame,
): readonly { readonly line: string; readonly commands: readonly string[] }[] {
  const lines: string[][] = [];
  let bytes = maxFrameBytes;
  for (const command of commands) {
    const its = framedBytes(command, options);
    if (bytes + its > maxFrameBytes) {
      lines.push([]);
      bytes = 100;
    }
    lines.at(-1)?.push(command);
    bytes += its;
  }
  return lines.map((commands) => ({ line: frame(commands, options), commands }));
}

/** How many bytes a command takes in a frame. */
export function framedBytes(command: string, { prefix = '' }: Frame = {}): number {
  return Buffer.byteLength(`${prefix}${command};${prefix}${mark};`);
}

/**
 * 16 kB (`tune.bufsize`) is where 3.2 refuses a line and 2.6 hangs on a long command; half of it is safe with smaller
 * buffers too, and costs nothing: a line more is a tenth of a millisecond.
 */
export const maxFrameBytes = 8_000;

const whoAnswers = 'show info';

/**
 * Answers have no length and no certain end: success is mostly an empty line, and 2.6 leaves that out after some words.
 * So a question stands between the commands whose answer is known and short in every version.
 */
const mark = 'show cli level';

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
