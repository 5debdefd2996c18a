/**
 * Follows the names of the services that carry a tag or meta, by one blocking query about the catalog. It tells of new names
 * only: whether a service is there, and what it says, the query about itself shows.
 */
import { AppError } from '../../../src/errors.ts';
import { wallClock } from '../../../src/lib/time/clock.ts';
import { backoffMs, pause } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import type { ConsulResponse, ListRequest } from '../agent/client.ts';
import { type Failure, failureOf } from '../agent/failure.ts';
import { indexOf } from '../service/result.ts';
import type { ConsulDiscovery } from '../settings.ts';
import { meantBy } from './own-options.ts';

export type NamesOptions = {
  readonly list: (request: ListRequest, timeoutMs: Ms) => Promise<ConsulResponse>;
  readonly selection: ConsulDiscovery;
  /** Whether requests carry a token. */
  readonly hasToken: boolean;
  readonly waitMs: Ms;
  /** Called with each list that may differ from the last one, and with the first one after a failure. */
  readonly onNames: (names: readonly string[], index: bigint | null) => void;
  readonly onFailure: (failure: Failure) => void;
  readonly signal: AbortSignal;
};

const backoff = { baseMs: 100, capMs: 10_000 };
/** The pace of lists that differ: anything that is registered in the datacenter may make a new one… */
const movingPace = { burst: 10, everyMs: 100 };
/** …and of those that come at once although their index stands still, is missing or goes back. */
const standingPace = { burst: 2, everyMs: 5000 };
/**
 * Reading the lists takes a limited part of a core, here and at the agent, however long they are: this much time for each name.
 * What has rested is read at once: so many names, of ten lists of five thousand.
 */
const lengths = { burst: 50_000, everyMs: 0.15 };
/** Anybody may register: of more names than this none is new. */
const mostNames = 20_000;

/** Ends when the signal aborts. */
export async function followNames(options: NamesOptions): Promise<void> {
  const { list, selection, waitMs, onNames, onFailure, signal } = options;
  const slackMs = Math.max(2000, waitMs / 10);
  const moving = new TokenBucket(movingPace, performance.now());
  const standing = new TokenBucket(standingPace, performance.now());
  const reading = new TokenBucket(lengths, performance.now());
  const filter = filterOfCatalog(selection);
  const base = { what: 'services', ...(filter !== '' && { filter }) } as const;
  let index: bigint | null = null;
  let failures = 0;
  while (!signal.aborted) {
    let delayMs: Ms;
    try {
      const sentAt = performance.now();
      const before: bigint | null = index;
      // The first list comes from the leader: one that lacks names makes services seem to be gone that were served before.
      const response: ConsulResponse =
        before === null
          ? await list({ ...base, consistent: true }, slackMs)
          : await list(
              { ...base, stale: true, index: `${before}`, wait: waitText(waitMs) },
              (waitMs * 17) / 16 + slackMs,
            );
      if (signal.aborted) return;
      const names = namesIn(response, options);
      const now = performance.now();
      index = indexOf(response.headers['x-consul-index']) ?? null;
      const hasMoved = index !== null && (before === null || index > before);
      if (before === null || index !== before) onNames(names, index);
      const hasBlocked = !hasMoved && index !== null && now - sentAt >= waitMs / 2;
      // It went back, or came back without news before its time: the catalog is another one now, as a restored snapshot is.
      if (before !== null && !hasMoved && !hasBlocked) index = null;
      delayMs = hasBlocked ? 0 : Math.max(reading.take(now, names.length), (hasMoved ? moving : standing).take(now));
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      const failure = failureOf(error, wallClock());
      delayMs = failure.retryAfterMs + backoffMs(failures, backoff);
      failures += 1;
      index = null;
      onFailure(failure);
    }
    if (delayMs > 0) await pause(delayMs, signal);
  }
}

/** Requests wait for different times, so that a fleet's do not all come back at once. */
function waitText(waitMs: Ms): string {
  return `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`;
}

/** Throws where the response says nothing of which services there are. */
function namesIn(
  { headers, body }: ConsulResponse,
  { hasToken, selection }: Pick<NamesOptions, 'hasToken' | 'selection'>,
): readonly string[] {
  // The tags of all instances by the name of the service. Without a schema, for speed: each registration lists thousands of them.
  if (!isRecord(body)) throw new AppError('MYELIN_SOURCE_FAILED', 'the answer is not a list of services');
  const isNamed = namedBy(selection);
  const names = Object.keys(body).filter((name) => isNamed(textsIn(body[name])));
  const isFiltered = headers['x-consul-results-filtered-by-acls'] === 'true';
  const isDenied = !hasToken && headers['x-consul-default-acl-policy'] === 'deny';
  if (names.length === 0 && (isFiltered || isDenied))
    throw new AppError('MYELIN_SOURCE_FAILED', 'the token may not see any service: it lacks service:read');
  if (names.length > mostNames)
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `${names.length} services want to be served, and no more than ${mostNames} are followed: new ones are left out`,
    );
  return names;
}

function textsIn(tags: unknown): readonly string[] {
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Which names are meant, by the tags of all instances. Meta is for a filter to tell; a tag is not, as a filter takes an agent twice
 * as long as the whole list.
 */
function namedBy(selection: ConsulDiscovery): (tags: readonly string[]) => boolean {
  const { tag } = selection;
  const isMeant = meantBy(selection);
  return (tags) => (tag === undefined || tags.includes(tag)) && (isMeant === null || isMeant(tags));
}

/** '': the tags in the list are enough. */
export function filterOfCatalog(selection: ConsulDiscovery): string {
  return Object.keys(selection.meta).length === 0
    ? ''
    : filterOf(selection, { tags: 'ServiceTags', meta: 'ServiceMeta' });
}

/** Of the instances of one service. */
export function filterOfInstances(selection: ConsulDiscovery): string {
  return filterOf(selection, { tags: 'Service.Tags', meta: 'Service.Meta' });
}

/** Between backquotes every character stands for itself. */
function filterOf({ tag, meta }: ConsulDiscovery, names: { readonly tags: string; readonly meta: string }): string {
  return [
    ...(tag === undefined ? [] : [`\`${tag}\` in ${names.tags}`]),
    ...Object.entries(meta).map(([key, value]) => `${names.meta}["${key}"] == \`${value}\``),
  ].join(' and ');
}
