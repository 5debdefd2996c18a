/**
 * Follows all objects of one kind in one namespace, for ever: a consistent list, then a watch from where it ended.
 * What was read is kept over every break of the stream and every failure of the source, and resumed from; only when the
 * server does not remember that far back (410) is the list read again, and then it replaces the old one at once.
 */
import type { z } from 'zod';
import { AppError } from '../../../src/errors.ts';
import { now, wallClock } from '../../../src/lib/time/clock.ts';
import { backoffMs, pause, Retries } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import { type Api, ApiError, type Params, Silence } from './api.ts';
import { type Failure, failureOf } from './failure.ts';
import { NotUnderstood, readEvent, readPage, status, uidOf, understand, versionOf } from './objects.ts';
import { pathOf, type Resource } from './resources.ts';

export type Change<T> = { readonly kind: 'put' | 'delete'; readonly object: T };

/** How far a list and the watch that follows it have come. */
export type Place = {
  readonly version: string;
  /** Identifies the first object of the list. */
  readonly first: string | undefined;
};

export type Listing<S extends z.ZodType> = {
  readonly api: Api;
  readonly resource: Resource;
  readonly namespace: string | null;
  /** The parameters of the list and the watch: selectors. */
  readonly params: Params;
  /** Reduces an object to what is kept. */
  readonly schema: S;
  /** Irrelevant objects are dropped at once: a namespace may be full of them. */
  readonly isWanted: (object: z.output<S>) => boolean;
  readonly signal: AbortSignal;
};

export type Reflecting<S extends z.ZodType> = Listing<S> & {
  /** The place that an earlier call has reached; null: list everything first. */
  readonly from: Place | null;
  /** How far it has come; null: an earlier place is not to be relied on. */
  readonly onPlace: (place: Place | null) => void;
  /** The state at `from` is still valid; changes may follow. */
  readonly onResume: () => void;
  /** Called with the whole list, and again after a 410. */
  readonly onList: (objects: readonly z.output<S>[]) => void;
  /** Called with all changes that arrived together. */
  readonly onChanges: (changes: readonly Change<z.output<S>>[]) => void;
  readonly onFailure: (failure: Failure) => void;
  /** The failure is over, and the reported state is current. */
  readonly onRecovery: () => void;
};

/**
 * Objects have from some hundred bytes to some megabytes, as their authors like. The first page is small, the
 * next ones as large as the previous ones allow; a page that is too large is cancelled and read in smaller pages.
 */
const pageSize = { first: 100, most: 500 };
const pageBytes = 8 * 2 ** 20;
/** The limit of a page with a single object: etcd takes 1.5 MiB, which in JSON may be six times as much. */
const objectBytes = 32 * 2 ** 20;
/** As for the whole source: recovery is quick after a short trouble, and a long one is not made worse. */
const retrying = { baseMs: 200, capMs: 1500, longestMs: 30_000, share: 1 / 8 };
/** A break counts as the first one again where the stream before it lasted this long. */
const healthyAfterMs: Ms = 10_000;
/** How often a list or watch may be opened: a server that ends every stream at once is not asked in a loop. */
const pace = { burst: 10, everyMs: 1000 };
/** The server ends a watch after this time, so that watches spread over its replicas again; the times differ. */
const watchSeconds = { least: 240, most: 480 };
/** The number of streams in a row that may break, or be refused as too old, before a failure is reported. */
const breaksAllowed = 3;
/**
 * Where nothing ever changes the server sends nothing, and a proxy that withholds the stream looks the same. After this number
 * of silences in a row the list is read again; the number grows each time.
 */
const silencesAllowed = { least: 2, most: 8 };
const resuming = { baseMs: 25, capMs: 500 };

/** Ends when `signal` aborts. */
export async function reflect<S extends z.ZodType>(reflecting: Reflecting<S>): Promise<void> {
  const { resource, namespace, from, onPlace, onResume, onList, onFailure, onRecovery, signal } = reflecting;
  const bucket = new TokenBucket(pace, performance.now());
  let place = from;
  let isProved = from === null;
  let isResumed = from === null;
  const forget = (): void => {
    place = null;
    onPlace(null);
  };
  const retries = new Retries(retrying);
  let breaks = 0;
  let silences = 0;
  let patience = silencesAllowed.least;
  let isFailing = false;
  while (!signal.aborted) {
    await pause(bucket.take(performance.now()), signal);
    if (signal.aborted) return;
    let openedAt: number | undefined;
    try {
      if (place !== null && !isProved && !(await isStill(reflecting, place))) forget();
      isProved = true;
      if (place === null) {
        const { objects, ...reached } = await list(reflecting);
        place = reached;
        onList(objects);
        onPlace(place);
        isResumed = true;
      }
      const { first } = place;
      await watch(reflecting, place.version, {
        onOpen() {
          openedAt = performance.now();
          if (!isResumed) onResume();
          isResumed = true;
          if (isFailing) onRecovery();
          isFailing = false;
        },
        onVersion(version) {
          place = { version, first };
          onPlace(place);
          breaks = 0;
          silences = 0;
          patience = silencesAllowed.least;
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      if (openedAt !== undefined && performance.now() - openedAt >= healthyAfterMs) breaks = 0;
      if (error instanceof Silence && openedAt !== undefined) {
        silences += 1;
        if (silences < patience) continue;
        forget();
        silences = 0;
        patience = Math.min(silencesAllowed.most, patience * 2);
        continue;
      }
      const verb = place === null ? 'list' : 'watch';
      const isGone = error instanceof ApiError && error.status === 410;
      if (isGone) forget();
      // A list instead of a watch may avoid this error.
      if (error instanceof NotUnderstood) onPlace(null);
      // A stream that broke, or whose place is forgotten, is no failure yet: the next attempts tell. Behind a balancer
      // they may meet the replica that is just going.
      const isOfConnection = !(
        error instanceof ApiError ||
        error instanceof NotUnderstood ||
        error instanceof AppError
      );
      const isResuming = isOfConnection && place !== null && isProved && !isFailing;
      const isBreak = (openedAt !== undefined && !(error instanceof NotUnderstood)) || isGone || isResuming;
      if (isBreak && ++breaks <= breaksAllowed) {
        if (openedAt === undefined) await pause(backoffMs(breaks, resuming), signal);
        continue;
      }
      const failure = failureOf(error, { resource, namespace, verb }, wallClock());
      isFailing = true;
      onFailure(failure);
      await pause(retries.failed(now(), failure.retryAfterMs), signal);
    }
  }
}

/**
 * Everything that the parameters select and `isWanted`, by a read that is consistent: no version is asked for, so a quorum
 * answers.
 */
export async function list<S extends z.ZodType>({
  api,
  resource,
  namespace,
  params,
  schema,
  isWanted,
  signal,
}: Listing<S>): Promise<Place & { readonly objects: readonly z.output<S>[] }> {
  const objects: z.output<S>[] = [];
  let next: string | undefined;
  let first: string | undefined;
  let limit = pageSize.first;
  for (;;) {
    const asked = { ...params, limit: `${limit}`, ...(next === undefined ? {} : { continue: next }) };
    const answer = await api.get(pathOf(resource, namespace), asked, signal, limit === 1 ? objectBytes : pageBytes);
    if (answer.kind === 'too_long') {
      if (limit === 1) throw new NotUnderstood(`one of ${resource.plural} has more than ${objectBytes} bytes`);
      limit = Math.ceil(limit / 10);
      continue;
    }
    const page = readPage(answer.body);
    first ??= uidOf(page.items[0]);
    for (const item of page.items) {
      const object = understand(`one of ${resource.plural}`, schema, item);
      if (isWanted(object)) objects.push(object);
    }
    next = page.next;
    if (next === undefined) return { version: page.resourceVersion, first, objects };
    const fitting = Math.floor((limit * pageBytes) / (2 * answer.bytes));
    limit = Math.max(1, Math.min(fitting, 2 * limit, pageSize.most));
  }
}

/**
 * Whether this is the cluster that was read, and in no earlier state: the address may belong to one that was created
 * again, or restored. A wrong no costs a list; after a wrong yes no change arrives until its versions have caught up.
 */
async function isStill<S extends z.ZodType>(
  { api, resource, namespace, params, signal }: Reflecting<S>,
  { version, first }: Place,
): Promise<boolean> {
  const answer = await api.get(pathOf(resource, namespace), { ...params, limit: '1' }, signal, objectBytes);
  if (answer.kind === 'too_long') return false;
  const page = readPage(answer.body);
  return uidOf(page.items[0]) === first && isAtLeast(page.resourceVersion, version);
}

/** Resource versions are whole numbers of any size. */
function isAtLeast(version: string, other: string): boolean {
  return version.length === other.length ? version >= other : version.length > other.length;
}

type Watching = {
  /** The server has agreed. */
  readonly onOpen: () => void;
  /** How far the watch has come: where it is resumed from. */
  readonly onVersion: (version: string) => void;
};

/** Resolves when the server ends the stream. */
async function watch<S extends z.ZodType>(
  { api, resource, namespace, params, schema, onChanges, signal }: Reflecting<S>,
  version: string,
  { onOpen, onVersion }: Watching,
): Promise<void> {
  const { least, most } = watchSeconds;
  const asked = {
    ...params,
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: version,
    timeoutSeconds: `${Math.round(least + (most - least) * Math.random())}`,
  };
  const onLines = (lines: readonly string[]): void => {
    const changes: Change<z.output<S>>[] = [];
    try {
      for (const line of lines) {
        const { type, object } = readEvent(line);
        if (type === 'ERROR') {
          const { code, message } = understand('a status', status, object);
          throw new ApiError(code ?? 500, message ?? '');
        }
        if (type !== 'BOOKMARK')
          changes.push({
            kind: type === 'DELETED' ? 'delete' : 'put',
            object: understand(`one of ${resource.plural}`, schema, object),
          });
        onVersion(versionOf(object));
      }
    } finally {
      // The events before a faulty line are valid.
      if (changes.length > 0) onChanges(changes);
    }
  };
  await api.stream(pathOf(resource, namespace), asked, { onOpen, onLines }, signal);
}
