/** Has frontends of a running process let go of their addresses for a moment, and take them again. */
import { AppError } from '../../errors.ts';
import { frames, unframe } from '../../haproxy/cli/framing.ts';
import { ask } from '../../haproxy/cli/socket.ts';
import { cliWord } from '../../haproxy/cli/words.ts';

/** Throws an AppError where nobody answers, or one of them does not do what it is told. */
export async function setFrontends(
  words: readonly ('disable' | 'enable')[],
  socket: string,
  names: readonly string[],
): Promise<void> {
  const commands = names.flatMap((name) => words.map((word) => `${word} frontend ${cliWord(name)}`));
  for (const { line, items } of frames(commands, (command) => [command], { maxBytes: shortLineBytes })) {
    const { replies } = unframe(await ask(socket, [line]));
    const at = items.findIndex((_, each) => !isSet.test(replies[each] ?? 'nothing'));
    if (at !== -1)
      throw new AppError(
        'MYELIN_SOCKET_FAILED',
        `HAProxy answered ${JSON.stringify(replies[at] ?? '')} to ${items[at]}`,
      );
  }
}

/** It is so now, or was before; one that an `.if` leaves out is not there. */
const isSet = /^(|All sockets are already (en|dis)abled\.|Frontend (is already|was previously) .*|No such frontend\.)$/;

/** Whatever the buffers of that process hold. */
const shortLineBytes = 1_000;
