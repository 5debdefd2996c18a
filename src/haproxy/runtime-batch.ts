/**
 * Runtime commands on as few lines as HAProxy takes, and the answers taken apart again. Each line says first who
 * answers: after a reload the old process may still sit behind the same socket, and what it is told changes nothing.
 */
import type { RuntimeCommand } from '../model.ts';
import type { Capabilities } from './capabilities.ts';
import { type Info, parseInfo } from './info.ts';
import { commandLines, judge, type Verdict } from './runtime-commands.ts';

export type Batch = {
  /** For one connection, without a line feed. */
  readonly line: string;
  readonly commands: readonly RuntimeCommand[];
};

export type BatchAnswer = {
  /** Who answered; null where it did not say, and then nobody knows what became of the commands. */
  readonly from: Info | null;
  /** One a command, in their order. */
  readonly verdicts: readonly Verdict[];
};

/**
 * 16 kB (`tune.bufsize`) is where 3.2 refuses a line and 2.6 hangs on a long command; half of it is safe with smaller
 * buffers too, and costs nothing: a line more is a tenth of a millisecond.
 */
const maxBytes = 8_000;

type Options = {
  readonly capabilities: Capabilities;
  /** What the master's command line wants before each command: `@1 `. */
  readonly prefix?: string;
};

/** In their order. What one command needs is never on two lines. */
export function toBatches(
  commands: readonly RuntimeCommand[],
  { capabilities, prefix = '' }: Options,
): readonly Batch[] {
  const head = capabilities.addServer === 'experimental' ? [whoAnswers, mark, experimental] : [whoAnswers];
  const batches: { parts: string[]; bytes: number; commands: RuntimeCommand[] }[] = [];
  for (const command of commands) {
    const parts = commandLines(command).flatMap((line) => [mark, line]);
    const bytes = Buffer.byteLength(parts.map((part) => `;${prefix}${part}`).join(''));
    let batch = batches.at(-1);
    if (batch === undefined || batch.bytes + bytes > maxBytes) {
      batch = { parts: [...head], bytes: 200, commands: [] };
      batches.push(batch);
    }
    batch.parts.push(...parts);
    batch.bytes += bytes;
    batch.commands.push(command);
  }
  return batches.map(({ parts, commands }) => ({
    line: [...parts, mark].map((part) => `${prefix}${part}`).join(';'),
    commands,
  }));
}

export function readBatch({ commands }: Batch, answer: string, { capabilities }: Options): BatchAnswer {
  const [first = '', ...replies] = answersIn(answer);
  if (capabilities.addServer === 'experimental') replies.shift();
  let at = 0;
  const verdicts = commands.map((command) => {
    const count = commandLines(command).length;
    const verdict = judge(command, replies.slice(at, at + count));
    at += count;
    return verdict;
  });
  return { from: infoIn(first), verdicts };
}

const whoAnswers = 'show info';
const experimental = 'experimental-mode on';

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
