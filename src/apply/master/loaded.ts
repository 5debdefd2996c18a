/** The config of a worker that Myelin did not start: HAProxy was restarted, or reloaded by somebody. */

import type { Ask } from '../../haproxy/cli/ask.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import type { Ms, Section } from '../../model.ts';
import type { Generation } from '../state/generation.ts';
import { isFirst } from '../state/records.ts';
import { sectionsOf } from '../state/sections.ts';
import { missingBackend } from './reload.ts';
import { inexactSec, startedAtSec, type WorkerId } from './serving.ts';

export type Came = {
  readonly info: Info;
  readonly id: WorkerId;
  readonly file: ConfigFile;
  /** The sections that the last record says are in the file. */
  readonly recorded: readonly Section[] | null;
  readonly record: Generation;
  readonly ask: Ask;
};

/** By how much a file may be younger than its time says: the kernel's clock for files goes by ticks. */
const fileClockLagMs: Ms = 20;

/**
 * The file's sections, if the file is older than the worker; null where that is not known. Before 2.5 the start time is
 * only known to some seconds, so a change within them leaves it open. Where no file was before, it read this one.
 */
export async function loadedBy({ info, id, file, recorded, record, ask }: Came): Promise<readonly Section[] | null> {
  const [text, placedAt] = [await file.read(), await file.placedAt()];
  const slackMs: Ms = id.isExact ? 0 : inexactSec * 1000;
  const isOnly = await isFirst(record, await file.stamp());
  const startedAt = (info.startedAt ?? startedAtSec(id) * 1000) + (isOnly ? 1000 + slackMs : -slackMs);
  if (text === null || placedAt === null || (await file.isUncommitted())) return null;
  if (startedAt < placedAt + (isOnly ? 0 : fileClockLagMs)) return null;
  const sections = asRecorded(text, recorded);
  // The worker may have been started with a different file.
  return (await missingBackend(ask, info.pid, sections)) === null ? sections : null;
}

/** With the services that they were rendered for, where that was recorded. */
export function asRecorded(text: string, recorded: readonly Section[] | null): readonly Section[] {
  return recorded !== null && textOf(recorded) === text ? recorded : sectionsOf(text, null);
}
