/** Runtime commands on as few lines as HAProxy takes, and the outcome of each. */
import type { RuntimeCommand } from '../../model.ts';
import type { Capabilities } from '../binary/capabilities.ts';
import { type Frame, type Framed, type FramedAnswer, frames, unframe } from '../cli/framing.ts';
import { resourceOf, say } from './index.ts';
import type { Verdict } from './resource.ts';

type BatchAnswer = {
  /** The process that answered; null where the answer does not say: then the outcome of the commands is unknown. */
  readonly from: FramedAnswer['from'];
  /** One a command, in their order. */
  readonly verdicts: readonly Verdict[];
};

type Options = Pick<Frame, 'prefix'> & { readonly capabilities: Capabilities };

/** Keeps the order of the commands. What one command needs is never on two lines. */
export function toBatches(
  commands: readonly RuntimeCommand[],
  { capabilities, ...frame }: Options,
): readonly Framed<RuntimeCommand>[] {
  return frames(commands, say, { ...frame, maxBytes: capabilities.maxLineBytes, head: headOf(capabilities) });
}

export function readBatch(
  { items }: Framed<RuntimeCommand>,
  answer: string,
  { capabilities }: Pick<Options, 'capabilities'>,
): BatchAnswer {
  const { from, replies } = unframe(answer);
  let at = headOf(capabilities).length;
  const verdicts = items.map((command) => {
    const count = say(command).length;
    const verdict = resourceOf(command).classify(command, replies.slice(at, at + count));
    at += count;
    return verdict;
  });
  return { from, verdicts };
}

/** What begins each line: HAProxy forgets the experimental mode after the line. */
function headOf({ addServer }: Capabilities): readonly string[] {
  return addServer === 'experimental' ? ['experimental-mode on'] : [];
}
