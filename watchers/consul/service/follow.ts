/** Follows one service by blocking queries until it is stopped: when to send the next one, and when to ask the leader. */
import { wallClock } from '../../../src/lib/time/clock.ts';
import { backoffMs, pause } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import type { ConsulResponse, HealthRequest } from '../agent/client.ts';
import { type Failure, failureOf } from '../agent/failure.ts';
import type { ConsulQuery } from '../settings.ts';
import type { BlockingQueries } from './blocking-queries.ts';
import { isDoubtful, isUnchanged, resultOf, type ServiceResult } from './result.ts';

export type Following = {
  readonly query: ConsulQuery;
  /** The part that all requests about this service have in common. */
  readonly request: HealthRequest;
  /** Whether requests carry a token. */
  readonly hasToken: boolean;
  /** Which instances are meant, by their tags, where the request cannot say it. */
  readonly isMeant?: ((tags: readonly string[]) => boolean) | null;
  readonly send: (request: HealthRequest, timeoutMs: Ms, stop?: AbortSignal) => Promise<ConsulResponse>;
  /** Those of the same datacenter. */
  readonly blocking: BlockingQueries;
  /** The last result before the source was started again. */
  readonly last?: ServiceResult | undefined;
  /** Waits for one of the connections, which is held during a request. `isFirst`: nothing is known of the service so far. */
  readonly permit: (isFirst: boolean) => Promise<Disposable>;
  readonly waitMs: Ms;
  /** Waits until the next request is due, and returns how long that one may block. Without it a request is due at once. */
  readonly rest?: ((last: ServiceResult) => Promise<Ms>) | undefined;
  /** Called with each result that differs from the last one, and with the first one after a failure. */
  readonly onResult: (result: ServiceResult) => void;
  /** Called after every response, before `onResult`. */
  readonly onResponse?: (() => void) | undefined;
  readonly onFailure: (failure: Failure) => void;
  readonly signal: AbortSignal;
};

const backoff = { baseMs: 100, capMs: 10_000 };
/** A failure counts as the first one again when requests succeeded for this long before it. */
const healthyAfterMs: Ms = 10_000;
/** The pace of requests about a service that really changes… */
const movingPace = { burst: 10, everyMs: 100 };
/** …and about one that answers at once although its index stands still, is missing or goes back. */
const standingPace = { burst: 2, everyMs: 5000 };
/** An agent does not sort instances itself: it asks a server. */
const sentinel = { near: '_agent' };
/**
 * Queries block for different times, so that they do not all come back at once; the first one for any part of its time, where that
 * is long. A short one is to give the agent the time to know what another list has told of.
 */
const spreadFromMs: Ms = 10_000;
/** A result goes live before the next request is sent, which costs as much as planning the change. */
const resultFirstMs: Ms = 10;

/** Ends when `signal` aborts. */
export async function follow(following: Following): Promise<void> {
  const { permit, blocking, waitMs, rest, onResult, onResponse, onFailure, signal } = following;
  // A response that does not block takes at most this long: a part of `wait`, which says how near the agent is.
  const slackMs = Math.max(2000, waitMs / 10);
  const moving = new TokenBucket(movingPace, performance.now());
  const standing = new TokenBucket(standingPace, performance.now());
  let { last } = following;
  /** What `last` is worth: it is `outdated` at first and after a failure. */
  let known: 'current' | 'doubted' | 'outdated' = 'outdated';
  let failures = 0;
  let healthySince = performance.now();
  let isSpread = false;

  while (!signal.aborted) {
    let delayMs: Ms;
    try {
      const longestMs: Ms = known === 'current' && last !== undefined && rest !== undefined ? await rest(last) : waitMs;
      if (signal.aborted) return;
      using _permit = await permit(last === undefined);
      if (signal.aborted) return;
      const spread = isSpread || longestMs < spreadFromMs ? 0.1 : 1;
      const thisWaitMs: Ms = longestMs * (1 - spread * Math.random());
      const sentAt = performance.now();
      const result = await query(following, last, known === 'current' ? thisWaitMs : null, slackMs);
      if (result === null) {
        known = 'doubted';
        continue;
      }
      onResponse?.();
      const now = performance.now();
      const hasNews = result !== last;
      const hasBlocked: boolean = !hasNews && last?.index !== undefined && now - sentAt >= thisWaitMs / 2;
      const isMoving = hasMoved(known === 'outdated' ? undefined : last, result);
      if (hasBlocked) delayMs = 0;
      else delayMs = Math.max(resultFirstMs, (isMoving ? moving : standing).take(now));
      isSpread ||= known === 'current';
      if (known === 'outdated') healthySince = now;
      // It came back before its time and without news, as from a server whose catalog is another one now.
      const isEndedEarly = !hasNews && !hasBlocked;
      if (isEndedEarly || hasGoneBack(last, result)) blocking.endAll();
      if (hasNews) onResult(result);
      last = result;
      known = isEndedEarly ? 'doubted' : 'current';
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - healthySince >= healthyAfterMs && known === 'current') failures = 0;
      const failure = failureOf(error, wallClock());
      delayMs = failure.retryAfterMs + backoffMs(failures, backoff);
      failures += 1;
      // The next request has no index: its response comes at once and shows whether a change was missed.
      known = 'outdated';
      onFailure(failure);
    }
    if (delayMs > 0) await pause(delayMs, signal);
  }
}

/**
 * One query, and a second one to the leader where the response is doubtful. `waitMs`: how long it may block; null: it does
 * not block, as after a failure, when `last` may be outdated and is only compared with. Returns `last` itself where
 * nothing has changed, and null where the query was ended since `last` may be outdated.
 */
async function query(
  { send, blocking, request, query: { stale, warning }, hasToken, isMeant }: Following,
  last: ServiceResult | undefined,
  waitMs: Ms | null,
  slackMs: Ms,
): Promise<ServiceResult | null> {
  const plain = { ...request, ...(stale && { stale }) };
  const index = waitMs === null ? undefined : last?.index;
  let response: ConsulResponse;
  if (waitMs === null || index === undefined) response = await send(plain, slackMs);
  else {
    using running = blocking.begin();
    const { isSentinel, signal } = running;
    const asked = { ...plain, index: `${index}`, wait: `${Math.ceil(waitMs)}ms`, ...(isSentinel && sentinel) };
    try {
      // The agent adds up to a sixteenth.
      response = await send(asked, (waitMs * 17) / 16 + slackMs, signal);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }
  if (index !== undefined && last !== undefined && isUnchanged(response, last)) return last;
  const context = { query: { warning }, service: request.service, hasToken, isMeant };
  const result = resultOf(response, last, context);
  if (!isDoubtful(response, result, last, waitMs === null)) return result;
  return resultOf(await send({ ...request, consistent: true }, slackMs), last, context);
}

function hasGoneBack(before: ServiceResult | undefined, now: ServiceResult): boolean {
  return before?.index !== undefined && now.index !== undefined && now.index < before.index;
}

function hasMoved(before: ServiceResult | undefined, now: ServiceResult): boolean {
  if (now.index === undefined) return false;
  return before?.index === undefined || now.index > before.index;
}
