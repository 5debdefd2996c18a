/**
 * Follows all objects of one kind in one namespace, for ever: a consistent list, then a watch from where it ended.
 * What was read is kept over every break of the stream, and resumed from; only when the server does not remember that
 * far back (410) is the list read anew, and then it replaces the old one at once.
 */
import type { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { backoffMs, pause } from '../../src/retry.ts';
import { TokenBucket } from '../token-bucket.ts';
import { type Api, ApiError, type Params, Silence } from './api.ts';
import { type Failure, failureOf } from './failure.ts';
import { NotUnderstood, readEvent, readPage, status, understand, versionOf } from './objects.ts';
import { pathOf, type Resource } from './resources.ts';

export type Change<T> = { readonly kind: 'put' | 'delete'; readonly object: T };

export type Reflecting<S extends z.ZodType> = {
  readonly api: Api;
  readonly resource: Resource;
  readonly namespace: string | null;
  /** Selectors. */
  readonly params: Params;
  /** Reduces an object to what is kept. */
  readonly schema: S;
  /** Everything there is; called again after a 410. */
  readonly onList: (objects: readonly z.output<S>[]) => void;
  /** All that arrived together. */
  readonly onChanges: (changes: readonly Change<z.output<S>>[]) => void;
  readonly onFailure: (failure: Failure) => void;
  /** After a failure all is well again, and what was told is current. */
  readonly onRecovery: () => void;
  readonly signal: AbortSignal;
};

const pageSize = 500;
/** As for the source as a whole: one question a second costs the server nothing, and what is new is there soon after. */
const backoff = { baseMs: 200, capMs: 1500 };
/** A stream that lasts less does not make the next failure the first one. */
const healthyAfterMs: Ms = 10_000;
/** How often a list or watch may be opened: a server that ends every stream at once is not asked in a loop. */
const pace = { burst: 10, everyMs: 1000 };
/** The server ends a watch after this time, so that watches spread anew over its replicas; not all at the same moment. */
const watchSeconds = { least: 240, most: 480 };
/** So many streams in a row may break, or be refused as too old, before anybody is told. */
const breaksAllowed = 3;
/**
 * Where nothing ever happens the server has nothing to say, and a proxy that keeps the stream to itself looks the same,
 * but for a list. After so many silences in a row there is one, ever more seldom.
 */
const silencesAllowed = { least: 2, most: 8 };
const resuming = { baseMs: 25, capMs: 500 };

/** Ends when `signal` aborts. */
export async function reflect<S extends z.ZodType>(reflecting: Reflecting<S>): Promise<void> {
  const { resource, namespace, onList, onFailure, onRecovery, signal } = reflecting;
  const bucket = new TokenBucket(pace, performance.now());
  let version: string | undefined;
  let failures = 0;
  let breaks = 0;
  let silences = 0;
  let patience = silencesAllowed.least;
  let isFailing = false;
  while (!signal.aborted) {
    await pause(bucket.take(performance.now()), signal);
    if (signal.aborted) return;
    let openedAt: number | undefined;
    try {
      if (version === undefined) {
        const all = await list(reflecting);
        onList(all.objects);
        version = all.version;
      }
      await watch(reflecting, version, {
        onOpen() {
          openedAt = performance.now();
          if (isFailing) onRecovery();
          isFailing = false;
        },
        onVersion(reached) {
          version = reached;
          breaks = 0;
          silences = 0;
          patience = silencesAllowed.least;
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      if (openedAt !== undefined && performance.now() - openedAt >= healthyAfterMs) {
        failures = 0;
        breaks = 0;
      }
      if (error instanceof Silence && openedAt !== undefined) {
        silences += 1;
        if (silences < patience) continue;
        version = undefined;
        silences = 0;
        patience = Math.min(silencesAllowed.most, patience * 2);
        continue;
      }
      const verb = version === undefined ? 'list' : 'watch';
      const isGone = error instanceof ApiError && error.status === 410;
      if (isGone) version = undefined;
      // A stream that broke, or whose place is forgotten, is no failure yet: the next attempts tell. Behind a balancer
      // they may meet the replica that is just going.
      const isOfConnection = !(
        error instanceof ApiError ||
        error instanceof NotUnderstood ||
        error instanceof AppError
      );
      const isResuming = isOfConnection && version !== undefined && !isFailing;
      const isBreak = (openedAt !== undefined && !(error instanceof NotUnderstood)) || isGone || isResuming;
      if (isBreak && ++breaks <= breaksAllowed) {
        if (openedAt === undefined) await pause(backoffMs(breaks, resuming), signal);
        continue;
      }
      const failure = failureOf(error, { resource, namespace, verb }, Date.now());
      isFailing = true;
      onFailure(failure);
      await pause(failure.retryAfterMs + backoffMs(failures, backoff), signal);
      failures += 1;
    }
  }
}

/** Everything that the parameters select, by a read that is consistent: no version is asked for, so a quorum answers. */
export async function list<S extends z.ZodType>({
  api,
  resource,
  namespace,
  params,
  schema,
  signal,
}: Pick<Reflecting<S>, 'api' | 'resource' | 'namespace' | 'params' | 'schema' | 'signal'>): Promise<{
  readonly version: string;
  readonly objects: readonly z.output<S>[];
}> {
  const objects: z.output<S>[] = [];
  let next: string | undefined;
  for (;;) {
    const asked = { ...params, limit: `${pageSize}`, ...(next === undefined ? {} : { continue: next }) };
    const page = readPage(await api.get(pathOf(resource, namespace), asked, signal));
    for (const item of page.items) objects.push(understand(`one of ${resource.plural}`, schema, item));
    next = page.next;
    if (next === undefined) return { version: page.resourceVersion, objects };
  }
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
      // What came before a faulty line is as true as if it had come alone.
      if (changes.length > 0) onChanges(changes);
    }
  };
  await api.stream(pathOf(resource, namespace), asked, { onOpen, onLines }, signal);
}
