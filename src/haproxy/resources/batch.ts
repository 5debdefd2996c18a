/** Sends runtime commands on as few lines as HAProxy takes, and reads the outcome of each. */
import type { RuntimeCommand } from '../../model.ts';
import type { Capabilities } from '../binary/capabilities.ts';
import type { Ask } from '../cli/ask.ts';
import { type Frame, type Framed, type FramedAnswer, frame, frames, unframe } from '../cli/framing.ts';
import { resourceOf, say } from './index.ts';
import type { Send, Verdict } from './resource.ts';

type BatchAnswer = {
  /** The process that answered; null where the answer does not say: then the outcome of the commands is unknown. */
  readonly from: FramedAnswer['from'];
  /** One a command, in their order. */
  readonly verdicts: readonly Verdict[];
};

type Options = Pick<Frame, 'prefix'> & { readonly capabilities: Capabilities };

/**
 * Carries out the commands and yields the outcome of each as soon as it is known. `identify` is shown who answered, for each
 * line, and throws where that is another process.
 */
export async function* carryOut(
  commands: readonly RuntimeCommand[],
  ask: Ask,
  identify: (from: FramedAnswer['from']) => void,
  options: Options,
): AsyncGenerator<readonly [command: RuntimeCommand, verdict: Verdict]> {
  const send: Send = async (lines) => {
    const { from, replies } = unframe(await ask(frame(lines, options)));
    identify(from);
    return replies;
  };
  const batched: RuntimeCommand[] = [];
  for (const command of commands) {
    const conversation = resourceOf(command).converse?.(command, send, options.capabilities) ?? null;
    if (conversation === null) batched.push(command);
    else yield [command, await conversation];
  }
  for (const batch of toBatches(batched, options)) {
    const { from, verdicts } = readBatch(batch, await ask(batch.line), options);
    identify(from);
    for (const [at, command] of batch.items.entries())
      yield [command, verdicts[at] ?? { kind: 'unexpected', command, reply: '' }];
  }
}

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
