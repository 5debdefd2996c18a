/** Another worker serves than was known, and it was not Myelin that made it: HAProxy was restarted, or reloaded by somebody. */
import { pastFromWallClock } from '../../lib/clock.ts';
import type { LeavingServer, Moment, Section } from '../../model.ts';
import {
  type Generation,
  readLeaving,
  readProof,
  readSections,
  removeProof,
  writeProof,
  writeSections,
} from '../generation.ts';
import { sameText } from '../sections.ts';
import { type Came, loadedBy } from './loaded.ts';
import { isProved, type MasterServing, proofOf } from './serving.ts';

export type Recognised =
  /** It is the one that was recorded. */
  | {
      readonly kind: 'recorded';
      readonly sections: readonly Section[];
      readonly leaving: readonly LeavingServer[];
      readonly since: Moment;
    }
  /** It was started from the file as it is. */
  | { readonly kind: 'loaded'; readonly sections: readonly Section[]; readonly isByHand: boolean }
  | { readonly kind: 'unknown'; readonly isByHand: boolean; readonly isInPlaceOfOurs: boolean };

type Encounter = Omit<Came, 'recorded'> & {
  /** The same master made it. */
  readonly isReload: boolean;
  /** What the one that served was brought to last; null: none did. */
  readonly before: readonly Section[] | null;
};

export async function recognise({ isReload, before, ...came }: Encounter): Promise<Recognised> {
  const { record, id } = came;
  const recorded = await readSections(record);
  const proof = await readProof(record);
  if (recorded !== null && proof !== null && isProved(proof, id)) {
    const since = pastFromWallClock(proof.since);
    return { kind: 'recorded', sections: recorded, leaving: await readLeaving(record), since };
  }
  const sections = await loadedBy({ ...came, recorded });
  const isByHand = isReload && before !== null && (sections === null || !sameText(sections, before));
  if (sections !== null) return { kind: 'loaded', sections, isByHand };
  return { kind: 'unknown', isByHand, isInPlaceOfOurs: before !== null || proof !== null };
}

/** The sections first: a proof says that they run. */
export async function recordProved(record: Generation, serving: MasterServing): Promise<void> {
  await removeProof(record);
  await writeSections(record, serving.worker.sections);
  await writeProof(record, proofOf(serving));
}
