/** Watches a file, or a folder of files, of services and their endpoints. */
import type { FileQuery, FileWatcherConfig } from '../../src/config/schema.ts';
import { AppError, describe } from '../../src/errors.ts';
import type { Query, Update, Watch } from '../../src/model.ts';
import { pause } from '../../src/retry.ts';
import { withSynced } from '../synced.ts';
import { answer, isSame, type Known, learn, nothingKnown } from './answers.ts';
import { readAll, stamp, type Text } from './disk.ts';
import { hints } from './folders.ts';
import { settle } from './settle.ts';

/**
 * It never throws for what is on disk: all questions are stale until it is mended, which is seen at once, and sooner
 * than by starting again.
 */
export function watchFile(settings: Pick<FileWatcherConfig, 'path'>): Watch<FileQuery> {
  return (queries, signal) => withSynced(queries, watch(settings.path, queries, signal));
}

const pollMs = 1000;
/** What is read counts once it reads the same after this time: a file may be seen half-written, and yet be valid. */
const settleMs = 25;
/** The same where a service would lose its last endpoint. */
const settleEmptyMs = 200;

async function* watch(
  path: string,
  queries: readonly Query<FileQuery>[],
  signal: AbortSignal,
): AsyncGenerator<Update, void, undefined> {
  let known = nothingKnown;
  let stamped = '';
  for await (const hint of hints(path, signal, pollMs)) {
    const now = await stamp(path);
    if (hint === 'poll' && now === stamped) continue;
    stamped = now;
    const next = await look(path, known, queries, signal);
    if (signal.aborted) return;
    if (next === known) {
      // A log in the same folder may be written without end, and each line is a hint.
      await pause(settleMs, signal);
      continue;
    }
    known = next;
    for (const { key, settings } of queries) yield answer(known, key, settings.service ?? key);
  }
}

/** Returns `known` itself when there is nothing new. */
async function look(
  path: string,
  known: Known,
  queries: readonly Query<FileQuery>[],
  signal: AbortSignal,
): Promise<Known> {
  const first = await tryRead(path);
  if (understand(known, first) === known) return known;
  const settled = await settle(first, {
    read: () => tryRead(path),
    isSame: isSameRead,
    waitMs: (read) => (losesAll(known, understand(known, read), queries) ? settleEmptyMs : settleMs),
    signal,
  });
  return understand(known, settled);
}

type Read = ReadonlyMap<string, Text> | AppError;

async function tryRead(path: string): Promise<Read> {
  try {
    return await readAll(path);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function understand(known: Known, read: Read): Known {
  if (read instanceof AppError) {
    const problem = describe(read);
    return problem === known.problem ? known : { ...known, problem };
  }
  const next = learn(known, read);
  const isSameAsBefore =
    known.problem === null &&
    next.files.size === known.files.size &&
    [...next.files].every(([file, value]) => known.files.get(file) === value);
  return isSameAsBefore ? known : next;
}

function isSameRead(one: Read, other: Read): boolean {
  if (one instanceof AppError || other instanceof AppError)
    return one instanceof AppError && other instanceof AppError && describe(one) === describe(other);
  return (
    one.size === other.size &&
    [...one].every(([file, text]) => {
      const now = other.get(file);
      return now !== undefined && isSame(text, now);
    })
  );
}

function losesAll(known: Known, next: Known, queries: readonly Query<FileQuery>[]): boolean {
  return queries.some(({ key, settings }) => {
    const after = answer(next, key, settings.service ?? key);
    if (after.kind !== 'endpoints' || after.endpoints.length > 0) return false;
    const before = answer(known, key, settings.service ?? key);
    return before.kind !== 'endpoints' || before.endpoints.length > 0;
  });
}
