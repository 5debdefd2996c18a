/** A different worker serves, and Myelin did not start it: somebody restarted or reloaded HAProxy. */
import { pastFromWallClock } from '../../lib/time/clock.ts';
import type { Leaving, Moment, Section } from '../../model.ts';
import { withComing } from '../state/coming.ts';
import type { Generation } from '../state/generation.ts';
import { readLeaving, readReady, readSections, removeReady, writeReady, writeSections } from '../state/records.ts';
import { sameText } from '../state/sections.ts';
import { type Came, loadedBy } from './loaded.ts';
import { isRecordOf, type MasterServing, readyRecordOf } from './serving.ts';

export type Recognised =
  /** The worker is the recorded one. */
  | {
      readonly kind: 'recorded';
      readonly sections: readonly Section[];
      readonly leaving: readonly Leaving[];
      readonly since: Moment;
    }
  /** The worker was started from the present file. */
  | { readonly kind: 'loaded'; readonly sections: readonly Section[]; readonly isByHand: boolean }
  | { readonly kind: 'unknown'; readonly isByHand: boolean; readonly isInPlaceOfOurs: boolean };

type Encounter = Omit<Came, 'recorded'> & {
  /** The same master started it. */
  readonly isReload: boolean;
  /** The last known state of the previous worker; null: there was none. */
  readonly before: readonly Section[] | null;
};

export async function recognise({ isReload, before, ...came }: Encounter): Promise<Recognised> {
  const { record, id } = came;
  const recorded = await readSections(record);
  const ready = await readReady(record);
  if (recorded !== null && ready !== null && isRecordOf(ready, id)) {
    const since = pastFromWallClock(ready.since);
    const sections = await withComing(record, recorded);
    return { kind: 'recorded', sections, leaving: await readLeaving(record), since };
  }
  const sections = await loadedBy({ ...came, recorded });
  const isByHand = isReload && before !== null && (sections === null || !sameText(sections, before));
  if (sections !== null) return { kind: 'loaded', sections, isByHand };
  return { kind: 'unknown', isByHand, isInPlaceOfOurs: before !== null || ready !== null };
}

/** The sections first: the record says that they run. */
export async function recordReady(record: Generation, serving: MasterServing): Promise<void> {
  await removeReady(record);
  await writeSections(record, serving.worker.sections);
  await writeReady(record, readyRecordOf(serving));
}
