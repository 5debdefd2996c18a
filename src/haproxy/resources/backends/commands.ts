/** Commands about whole backends as HAProxy's command line takes them, and what its replies mean. */
import type { BackendCommand } from '../../../model.ts';
import { cliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

export function say(command: BackendCommand): readonly string[] {
  const name = cliWord(command.backend);
  switch (command.action) {
    case 'add':
      return [`add backend ${name} from ${cliWord(command.from)}`];
    case 'publish':
      return [`publish backend ${name}`];
    case 'unpublish':
      return [`unpublish backend ${name}`];
    case 'retire':
      return [];
    case 'delete':
      // Somebody may have published it again.
      return [`unpublish backend ${name}`, `del backend ${name}`];
  }
}

export function classify(command: BackendCommand, replies: readonly string[]): Verdict {
  for (const [at, line] of say(command).entries()) {
    const verdict = classifyLine(command, line, replies[at]);
    if (verdict.kind !== 'done') return verdict;
  }
  return { kind: 'done' };
}

const done: Verdict = { kind: 'done' };

function classifyLine(command: BackendCommand, line: string, reply: string | undefined): Verdict {
  const unexpected: Verdict = { kind: 'unexpected', command, reply: reply ?? '' };
  if (reply === undefined) return unexpected;
  switch (line.slice(0, line.indexOf(' '))) {
    case 'add':
      // The reply notes an algorithm that takes no new servers; warnings may stand before the reply.
      return /(^|\n)New backend registered(\.| \(no support for dynamic servers: .*\))$/.test(reply)
        ? done
        : unexpected;
    case 'publish':
      return reply === 'Backend published.' ? done : unexpected;
    case 'unpublish':
      return reply === 'Backend unpublished.' || reply === notThere ? done : unexpected;
    default:
      if (reply === 'Backend deleted.' || reply === notThere) return done;
      if (busy.has(reply)) return { kind: 'busy' };
      return reply === pinned ? { kind: 'pinned' } : unexpected;
  }
}

const notThere = 'No such backend.';
const busy: ReadonlySet<string> = new Set([
  'Only a backend without server can be deleted.',
  'Backend still has attached streams on it.',
]);
const pinned = 'This proxy cannot be removed at runtime due to other configuration elements pointing to it.';
