/** What a worker was started with that Myelin did not make: HAProxy was started anew, or reloaded by somebody. */
import type { Info } from '../../haproxy/cli/info.ts';
import type { Ask } from '../../haproxy/cli/read-back.ts';
import type { ConfigFile } from '../../lib/files.ts';
import type { Section } from '../../model.ts';
import { type Generation, isFirst } from '../generation.ts';
import { sectionsOf, textOf } from '../sections.ts';
import { missingBackend } from './reload.ts';
import { inexactSec, startedAtSec, type WorkerId } from './serving.ts';

type Came = {
  readonly info: Info;
  readonly id: WorkerId;
  readonly file: ConfigFile;
  /** What was recorded last to be in the file. */
  readonly recorded: readonly Section[] | null;
  readonly record: Generation;
  readonly ask: Ask;
};

/**
 * The file, if that has been in its place since before. Its time of start is known to the second, so in the second of a
 * change it remains unknown, and null; but where no file was before, it can have read no other.
 */
export async function loadedBy({ info, id, file, recorded, record, ask }: Came): Promise<readonly Section[] | null> {
  const [text, placedAt] = [await file.read(), await file.placedAt()];
  const slackSec = id.isExact ? 0 : inexactSec;
  const isOnly = await isFirst(record, await file.stamp());
  const startedMs = (startedAtSec(id) + (isOnly ? 1 + slackSec : -slackSec)) * 1000;
  if (text === null || placedAt === null || startedMs < placedAt || (await file.isUnsettled())) return null;
  const sections = asRecorded(text, recorded);
  // It may have been started with another file altogether.
  return (await missingBackend(ask, info.pid, sections)) === null ? sections : null;
}

/** With the services that they were rendered for, where that was recorded. */
export function asRecorded(text: string, recorded: readonly Section[] | null): readonly Section[] {
  return recorded !== null && textOf(recorded) === text ? recorded : sectionsOf(text, null);
}
