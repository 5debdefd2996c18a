/** What a shared frontend serves of what stands in its folder: what is sound, and else what was there before. Pure. */
import type { Ms, Timestamp } from '../model.ts';
import type { Reading } from './folder.ts';
import { type Inspected, type Pem, type Sound, whyNotNow } from './inspect.ts';

/** A certificate under its name. */
export type Certificate = { readonly name: string; readonly file: string } & Pick<
  Sound,
  'pem' | 'names' | 'notAfter' | 'serial'
>;

/** What is not served as it stands on disk, and why. */
export type Problem = {
  readonly name: string;
  readonly file: string;
  readonly reason: string;
  /** An earlier content of it serves on. */
  readonly isKept: boolean;
};

export type Choice = {
  /** In the order of their names. */
  readonly certificates: readonly Certificate[];
  readonly problems: readonly Problem[];
  /** The names of those that end soon, or have ended. */
  readonly expiring: readonly string[];
};

/** As long before its end as whoever renews it should have done so. */
const soonMs: Ms = 14 * 86_400_000;

type Parts = {
  readonly reading: Reading;
  /** What served last, by name. */
  readonly before: ReadonlyMap<string, Certificate>;
  readonly inspect: (pem: Pem) => Inspected;
  readonly folder: string;
};

export function choose({ reading, before, inspect, folder }: Parts, now: Timestamp): Choice {
  if (reading.problem !== null) {
    const problem = { name: '', file: folder, reason: reading.problem, isKept: before.size > 0 };
    return withExpiring([...before.values()], [problem], now);
  }
  const certificates: Certificate[] = [];
  const problems: Problem[] = [];
  const names = new Set<string>();
  for (const entry of reading.entries) {
    const { name, file } = entry;
    const inspected = entry.kind === 'wrong' ? { kind: 'unsound' as const, reason: entry.reason } : inspect(entry.pem);
    const reason = inspected.kind === 'unsound' ? inspected.reason : whyNotNow(inspected, now);
    if (inspected.kind === 'sound' && reason === null) {
      const { pem, names: its, notAfter, serial } = inspected;
      certificates.push({ name, file, pem, names: its, notAfter, serial });
    } else {
      const kept = names.has(name) ? undefined : before.get(name);
      if (kept !== undefined) certificates.push({ ...kept, file });
      problems.push({ name, file, reason: reason ?? '', isKept: kept !== undefined });
    }
    names.add(name);
  }
  return withExpiring(certificates, problems, now);
}

function withExpiring(certificates: readonly Certificate[], problems: readonly Problem[], now: Timestamp): Choice {
  const expiring = certificates.filter(({ notAfter }) => notAfter - soonMs <= now).map(({ name }) => name);
  return { certificates, problems, expiring };
}

/** The one that clients get whose name fits none comes first; the others by name. */
export function inOrder(certificates: readonly Certificate[], wanted: string | undefined): readonly Certificate[] {
  const first =
    certificates.find(({ name }) => name === wanted) ??
    certificates.find(({ name }) => name === 'default') ??
    certificates[0];
  return first === undefined ? [] : [first, ...certificates.filter((each) => each !== first)];
}
