/** Follows one service by blocking queries until it is stopped: when to send the next one, and when to ask the leader. */
import { wallClock } from '../../../src/lib/time/clock.ts';
import { backoffMs, pause } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import type { ConsulResponse, HealthRequest } from '../agent/client.ts';
import { type Failure, failureOf } from '../agent/failure.ts';
import type { ConsulQuery } from '../settings.ts';
import { isDoubtful, isUnchanged, resultOf, type ServiceResult } from './result.ts';

export type Following = {
  readonly query: ConsulQuery;
  /** The part that all requests about this service have in common. */
  readonly request: HealthRequest;
  /** Whether requests carry a token. */
  readonly hasToken: boolean;
  /** Which instances are meant, by their tags, where the request cannot say it. */
  readonly isMeant?: ((tags: readonly string[]) => boolean) | null;
  readonly send: (request: HealthRequest, timeoutMs: Ms) => Promise<ConsulResponse>;
  /** The last result before the source was started again. */
  readonly last?: ServiceResult | undefined;
  /** Waits for one of the connections, which is held during a request. */
  readonly permit: () => Promise<Disposable>;
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
/** A result goes live before the next request is sent, which costs as much as planning the change. */
const resultFirstMs: Ms = 10;

/** Ends when `signal` aborts. */
export async function follow(following: Following): Promise<void> {
  const { permit, waitMs, rest, onResult, onResponse, onFailure, signal } = following;
  // A response that does not block takes at most this long: a part of `wait`, which says how near the agent is.
  const slackMs = Math.max(2000, waitMs / 10);
  const moving = new TokenBucket(movingPace, performance.now());
  const standing = new TokenBucket(standingPace, performance.now());
  let { last } = following;
  /** Whether `last` comes from the request before this one. */
  let isCurrent = false;
  let failures = 0;
  let healthySince = performance.now();

  while (!signal.aborted) {
    let delayMs: Ms;
    try {
      const thisWaitMs = isCurrent && last !== undefined && rest !== undefined ? await rest(last) : waitMs;
      if (signal.aborted) return;
      using _permit = await permit();
      if (signal.aborted) return;
      const sentAt = performance.now();
      const result = await query(following, last, isCurrent ? thisWaitMs : null, slackMs);
      onResponse?.();
      const now = performance.now();
      const hasBlocked = result === last && last.index !== undefined && now - sentAt >= thisWaitMs / 2;
      const isMoving = hasMoved(isCurrent ? last : undefined, result);
      if (hasBlocked) delayMs = 0;
      else delayMs = Math.max(resultFirstMs, (isMoving ? moving : standing).take(now));
      if (!isCurrent) healthySince = now;
      if (result !== last || !isCurrent) onResult(result);
      last = result;
      isCurrent = true;
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - healthySince >= healthyAfterMs && isCurrent) failures = 0;
      const failure = failureOf(error, wallClock());
      delayMs = failure.retryAfterMs + backoffMs(failures, backoff);
      failures += 1;
      // The next request has no index: its response comes at once and shows whether a change was missed.
      isCurrent = false;
      onFailure(failure);
    }
    if (delayMs > 0) await pause(delayMs, signal);
  }
}

/**
 * One query, and a second one to the leader where the response is doubtful. `waitMs`: how long it may block; null: it does
 * not block, as after a failure, when `last` may be outdated and is only compared with. Returns `last` itself where
 * nothing has changed.
 */
async function query(
  { send, request, query: { stale, warning }, hasToken, isMeant }: Following,
  last: ServiceResult | undefined,
  waitMs: Ms | null,
  slackMs: Ms,
): Promise<ServiceResult> {
  const plain = { ...request, ...(stale && { stale }) };
  const index = waitMs === null ? undefined : last?.index;
  const response =
    waitMs === null || index === undefined
      ? await send(plain, slackMs)
      : // Requests wait for different times, so that they do not all come back at once. The agent adds up to a sixteenth.
        await send(
          { ...plain, index: `${index}`, wait: `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms` },
          (waitMs * 17) / 16 + slackMs,
        );
  if (index !== undefined && last !== undefined && isUnchanged(response, last)) return last;
  const context = { query: { warning }, service: request.service, hasToken, isMeant };
  const result = resultOf(response, last, context);
  if (!isDoubtful(response, result, last, waitMs === null)) return result;
  return resultOf(await send({ ...request, consistent: true }, slackMs), last, context);
}

function hasMoved(before: ServiceResult | undefined, now: ServiceResult): boolean {
  if (now.index === undefined) return false;
  return before?.index === undefined || now.index > before.index;
}
