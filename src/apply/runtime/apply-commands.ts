/** Brings processes to other sections by commands: the one that serves, which the file follows, and those that leave. */
import type { RuntimeCommand, Section } from '../../model.ts';
import type { ConfigFileSync } from '../config-file-sync.ts';
import type { Follower, Runtime, UnexpectedReply } from '../driver.ts';
import { sameText } from '../sections.ts';
import type { Worker } from './worker.ts';

type Told =
  | { readonly kind: 'told' }
  | { readonly kind: 'unexpected'; readonly replies: readonly UnexpectedReply[] }
  | { readonly kind: 'superseded' };

type ToTell = {
  readonly worker: Worker;
  readonly commands: readonly RuntimeCommand[];
  readonly sections: readonly Section[];
  readonly onDisk: ConfigFileSync;
  /** Whether this process serves still. */
  readonly serves: () => boolean;
};

/** Throws an AppError where it does not answer. */
export async function tell({ worker, commands, sections, onDisk, serves }: ToTell): Promise<Told> {
  const isNew = !sameText(sections, worker.sections);
  const replies = await worker.send(commands, sections);
  if (replies === null || !serves()) return { kind: 'superseded' };
  if (replies.length > 0) return { kind: 'unexpected', replies };
  if (isNew) onDisk.note();
  return { kind: 'told' };
}

/** How the process that serves can be told, and those that leave. */
export function runtimeOf(worker: Worker, leaving: readonly Worker[]): Runtime {
  return {
    ...worker.runtime,
    followers: leaving.map(followerOf),
    readBack: (backends) => worker.readBack(backends),
    // The file stays what was wanted: what somebody made of it is not for the next start.
    believe: (sections, found) => worker.believe(sections, found),
  };
}

function followerOf(worker: Worker): Follower {
  return {
    sections: worker.sections,
    runtime: worker.runtime,
    follow: async (commands, sections) => {
      // It goes anyway: what it does not take, or cannot answer any more, is not worth a word.
      const replies = await worker.send(commands, sections).catch(() => []);
      if (replies === null) return false;
      if (replies.length > 0) worker.believe(sections, []);
      return true;
    },
  };
}
