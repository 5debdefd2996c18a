/** Which certificates of its folder a shared frontend serves: sound ones, and former versions of the others. Pure. */
import type { Ms, Timestamp } from '../model.ts';
import type { Reading } from './folder.ts';
import { type Inspected, type Pem, type Sound, whyNotNow } from './inspect.ts';

/** A certificate and its name. */
export type Certificate = { readonly name: string; readonly file: string } & Pick<
  Sound,
  'pem' | 'names' | 'notAfter' | 'serial'
>;

/** A certificate that is not served as it is on disk, and why. */
export type Problem = {
  readonly name: string;
  readonly file: string;
  readonly reason: string;
  /** A former version keeps serving. */
  readonly isKept: boolean;
};

export type Choice = {
  /** In the order of their names. */
  readonly certificates: readonly Certificate[];
  readonly problems: readonly Problem[];
  /** The names of certificates that end soon, or have ended. */
  readonly expiring: readonly string[];
};

/** By this time before its end, a certificate should have been renewed. */
const soonMs: Ms = 14 * 86_400_000;

type Parts = {
  readonly reading: Reading;
  /** The certificates that served last, by name. */
  readonly before: ReadonlyMap<string, Certificate>;
  readonly inspect: (pem: Pem) => Inspected;
  readonly folder: string;
};

export function choose({ reading, before, inspect, folder }: Parts, now: Timestamp): Choice {
  // A volume that is not mounted is an empty folder.
  const isEmptied = reading.entries.length === 0 && before.size > 0;
  const unread = reading.problem ?? (isEmptied ? 'there is no certificate in it any more' : null);
  if (unread !== null) {
    const problem = { name: '', file: folder, reason: unread, isKept: before.size > 0 };
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

/** The one for clients whose server name matches none comes first; the others are sorted by name. */
export function inOrder(certificates: readonly Certificate[], wanted: string | undefined): readonly Certificate[] {
  const first =
    certificates.find(({ name }) => name === wanted) ??
    certificates.find(({ name }) => name === 'default') ??
    certificates[0];
  return first === undefined ? [] : [first, ...certificates.filter((each) => each !== first)];
}
