/** Watches a file, or a folder of files, of services and their endpoints. */

import { AppError, describe } from '../../src/errors.ts';
import { pause } from '../../src/lib/time/retry.ts';
import { settle } from '../../src/lib/time/settle.ts';
import type { Query, Update, Watch } from '../../src/model.ts';
import { withSynced } from '../kit/watching.ts';
import { readAll, stamp, type Text } from './disk.ts';
import { hints } from './folders.ts';
import { Parsing } from './parse-aside.ts';
import {
  type Content,
  discoveredIn,
  discoveryTrouble,
  hasNewFaults,
  type Known,
  learn,
  nothingKnown,
  resultOf,
} from './results.ts';
import type { FileDiscovery, FileQuery, FileSettings } from './settings.ts';

type Queries = readonly Query<FileQuery | FileDiscovery>[];

/** Wrong or missing files make queries stale; they do not fail the source. Mending them is noticed at once, a restart takes longer. */
export function watchFile(settings: Pick<FileSettings, 'path'>): Watch<FileQuery | FileDiscovery> {
  return (queries, signal) => withSynced(queries, watch(settings.path, queries, signal));
}

const pollMs = 1000;
/** A content counts when it is the same after this time: a half-written file may be valid. */
const settleMs = 25;
/** The same where the content has faults, or a service loses its last endpoint. */
const settleLongMs = 200;

async function* watch(path: string, queries: Queries, signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
  let known = nothingKnown;
  let stamped = '';
  const news = new EventTarget();
  await using parsing = new Parsing(() => news.dispatchEvent(new Event('news')));
  for await (const hint of hints(path, signal, pollMs, news)) {
    const now = await stamp(path);
    if (hint === 'poll' && now === stamped) continue;
    stamped = now;
    const next = await look({ path, known, queries, parsing, signal });
    if (signal.aborted) return;
    if (next === known) {
      // Another file in the same folder, such as a log, may change all the time, and each change is a hint.
      await pause(settleMs, signal);
      continue;
    }
    known = next;
    yield* updatesOf(known, queries);
  }
}

/** Discovered services first, then what is known of each. */
function* updatesOf(known: Known, queries: Queries): Iterable<Update> {
  for (const { key, settings } of queries) {
    if (!('isForAll' in settings)) continue;
    const trouble = discoveryTrouble(known);
    // While the path cannot be read, what was told before holds.
    if (known.problem === null) yield { kind: 'discovered', key, services: discoveredIn(known) };
    if (trouble !== null) yield { kind: 'stale', key, reason: trouble };
  }
  for (const { key, service } of servicesOf(known, queries)) yield resultOf(known, key, service);
}

/** Those that queries name, and those that were discovered. */
function servicesOf(known: Known, queries: Queries): readonly { readonly key: string; readonly service: string }[] {
  return queries.flatMap(({ key, settings }) =>
    'isForAll' in settings
      ? discoveredIn(known).map(({ key, name }) => ({ key, service: name }))
      : [{ key, service: settings.service ?? key }],
  );
}

/** How long the first read waits until large files are parsed. */
const firstParseMs = 5000;

type Looking = {
  readonly path: string;
  readonly known: Known;
  readonly queries: Queries;
  readonly parsing: Parsing;
  readonly signal: AbortSignal;
};

/** Returns `known` itself where nothing has changed. */
async function look({ path, known, queries, parsing, signal }: Looking): Promise<Known> {
  const before = new Map([...known.files].map(([file, { content }]) => [file, content]));
  const read = (last: ReadonlyMap<string, Content>): Promise<Read> => tryRead(path, last, parsing);
  let first = await read(before);
  if (known === nothingKnown) {
    // There are no earlier results to serve meanwhile.
    await Promise.race([parsing.idle(), pause(firstParseMs, signal)]);
    first = await read(before);
  }
  if (understand(known, first) === known) return known;
  const settled = await settle(first, {
    read: (last) => read(last instanceof AppError ? before : last),
    isSame: isSameRead,
    waitMs(last) {
      const next = understand(known, last);
      return hasNewFaults(known, next) || losesAll(known, next, queries) ? settleLongMs : settleMs;
    },
    signal,
  });
  return understand(known, settled);
}

type Read = ReadonlyMap<string, Content> | AppError;

/** An unchanged file keeps its object from `before`, and is not parsed again. */
async function tryRead(path: string, before: ReadonlyMap<string, Content>, parsing: Parsing): Promise<Read> {
  try {
    const contents = new Map<string, Content>();
    const texts = await readAll(path);
    parsing.keep(texts);
    for (const [file, text] of texts) {
      const same = before.get(file);
      contents.set(file, same !== undefined && isSame(same.text, text) ? same : contentOf(file, text, same, parsing));
    }
    return contents;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** Returns `before` while the file is being parsed. */
function contentOf(file: string, text: Text, before: Content | undefined, parsing: Parsing): Content {
  const parsed = text.kind === 'text' ? parsing.parse({ file, text: text.text }) : null;
  if (parsed !== null) return { text, parsed };
  if (text.kind === 'text' && before !== undefined) return before;
  const reason = text.kind === 'text' ? `${file} is being parsed` : text.reason;
  return { text: { kind: 'unreadable', reason }, parsed: { kind: 'invalid', reason } };
}

function isSame(one: Text, other: Text): boolean {
  if (one.kind === 'text') return other.kind === 'text' && one.text === other.text;
  return other.kind === 'unreadable' && one.reason === other.reason;
}

function understand(known: Known, read: Read): Known {
  if (read instanceof AppError) {
    const problem = describe(read);
    return problem === known.problem ? known : { ...known, problem };
  }
  const isSameAsBefore =
    known.problem === null &&
    read.size === known.files.size &&
    [...read].every(([file, content]) => known.files.get(file)?.content === content);
  return isSameAsBefore ? known : learn(known, read);
}

function isSameRead(one: Read, other: Read): boolean {
  if (one instanceof AppError || other instanceof AppError)
    return one instanceof AppError && other instanceof AppError && describe(one) === describe(other);
  return one.size === other.size && [...one].every(([file, content]) => other.get(file) === content);
}

function losesAll(known: Known, next: Known, queries: Queries): boolean {
  return servicesOf(known, queries).some(({ key, service }) => {
    const after = resultOf(next, key, service);
    if (after.kind !== 'endpoints' || after.endpoints.length > 0) return false;
    const before = resultOf(known, key, service);
    return before.kind !== 'endpoints' || before.endpoints.length > 0;
  });
}
