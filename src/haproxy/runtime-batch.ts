/** Runtime commands on as few lines as HAProxy takes, and what became of each. */
import type { RuntimeCommand } from '../model.ts';
import type { Capabilities } from './capabilities.ts';
import { type Frame, type FramedAnswer, frame, framedBytes, maxFrameBytes, unframe } from './framing.ts';
import { commandLines, judge, type Verdict } from './runtime-commands.ts';

export type Batch = {
  /** For one connection, without a line feed. */
  readonly line: string;
  readonly commands: readonly RuntimeCommand[];
};

export type BatchAnswer = {
  /** Who answered; null where it did not say, and then nobody knows what became of the commands. */
  readonly from: FramedAnswer['from'];
  /** One a command, in their order. */
  readonly verdicts: readonly Verdict[];
};

type Options = Frame & { readonly capabilities: Capabilities };

/** In their order. What one command needs is never on two lines. */
export function toBatches(commands: readonly RuntimeCommand[], options: Options): readonly Batch[] {
  const head = options.capabilities.addServer === 'experimental' ? [experimental] : [];
  const batches: { lines: string[]; bytes: number; commands: RuntimeCommand[] }[] = [];
  for (const command of commands) {
    const lines = commandLines(command);
    const bytes = lines.reduce((sum, line) => sum + framedBytes(line, options), 0);
    let batch = batches.at(-1);
    if (batch === undefined || batch.bytes + bytes > maxFrameBytes) {
      batch = { lines: [...head], bytes: 200, commands: [] };
      batches.push(batch);
    }
    for (const line of lines) batch.lines.push(line);
    batch.bytes += bytes;
    batch.commands.push(command);
  }
  return batches.map(({ lines, commands }) => ({ line: frame(lines, options), commands }));
}

export function readBatch(
  { commands }: Batch,
  answer: string,
  { capabilities }: Pick<Options, 'capabilities'>,
): BatchAnswer {
  const { from, replies } = unframe(answer);
  let at = capabilities.addServer === 'experimental' ? 1 : 0;
  const verdicts = commands.map((command) => {
    const count = commandLines(command).length;
    const verdict = judge(command, replies.slice(at, at + count));
    at += count;
    return verdict;
  });
  return { from, verdicts };
}

const experimental = 'experimental-mode on';
