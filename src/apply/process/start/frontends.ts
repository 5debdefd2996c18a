/** Makes frontends of a running process release their addresses for a moment, and take them again. */
import { AppError } from '../../../errors.ts';
import { frames, unframe } from '../../../haproxy/cli/framing.ts';
import { ask } from '../../../haproxy/cli/socket.ts';
import { cliWord } from '../../../haproxy/cli/words.ts';

/** Throws an AppError where the process does not answer, or a frontend does not follow the command. */
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

/** The replies that are fine: done now, or before; a frontend that an `.if` leaves out does not exist. */
const isSet = /^(|All sockets are already (en|dis)abled\.|Frontend (is already|was previously) .*|No such frontend\.)$/;

/** Short enough for any buffer size of the process. */
const shortLineBytes = 1_000;
