/** Commands about frontends as HAProxy's command line takes them, and what its replies mean. */
import type { FrontendCommand } from '../../../model.ts';
import { cliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

export function say({ action, frontend }: FrontendCommand): readonly string[] {
  const name = cliWord(frontend);
  switch (action) {
    case 'enable':
      return [`enable frontend ${name}`];
    case 'remove':
      // The first one makes HAProxy stop listening: since 3.0 the second alone leaves clients waiting in the socket. The second one
      // lets connections end with their next response, as at a reload.
      return [`disable frontend ${name}`, `shutdown frontend ${name}`];
  }
}

export function classify(command: FrontendCommand, replies: readonly string[]): Verdict {
  for (const [at] of say(command).entries()) {
    const reply = replies[at];
    if (reply === undefined || !isDone[command.action].test(reply))
      return { kind: 'unexpected', command, reply: reply ?? '' };
  }
  return { kind: 'done' };
}

/** Done now, or before. */
const isDone: Readonly<Record<FrontendCommand['action'], RegExp>> = {
  enable: /^(|All sockets are already enabled\.|Frontend is already enabled\.)$/,
  remove:
    /^(|All sockets are already disabled\.|Frontend is already disabled\.|Frontend was (previously shut down, cannot disable|already shut down)\.)$/,
};
