/** Brings the process that serves to other sections by commands; the file follows. */
import type { RuntimeCommand, Section } from '../model.ts';
import type { UnexpectedReply } from './control.ts';
import type { FileBehind } from './file-behind.ts';
import { sameText } from './sections.ts';
import type { Worker } from './worker.ts';

type Told =
  | { readonly kind: 'told' }
  | { readonly kind: 'unexpected'; readonly replies: readonly UnexpectedReply[] }
  | { readonly kind: 'superseded' };

type ToTell = {
  readonly worker: Worker;
  readonly commands: readonly RuntimeCommand[];
  readonly sections: readonly Section[];
  readonly onDisk: FileBehind;
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
