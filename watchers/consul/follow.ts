/** Follows one service by blocking queries, for ever: the rules of Consul's index, of its pace and of doubtful answers. */

import { wallClock } from '../../src/lib/time/clock.ts';
import { backoffMs, pause } from '../../src/lib/time/retry.ts';
import type { Ms } from '../../src/model.ts';
import { TokenBucket } from '../kit/token-bucket.ts';
import { type Failure, failureOf } from './failure.ts';
import { type Known, type Reading, read } from './reading.ts';

export type Following = Omit<Reading, 'slackMs'> & {
  /** What was known before the source was started again. */
  readonly remembered?: Known | undefined;
  /** Waits for one of the connections; held while it is asked. */
  readonly permit: () => Promise<Disposable>;
  readonly waitMs: Ms;
  /** Waits until it is to be asked again, and says how long that request waits; where it is missing that is at once. */
  readonly rest?: ((known: Known) => Promise<Ms>) | undefined;
  /** Told of what is news. */
  readonly onResult: (known: Known) => void;
  /** Told of every answer, before `onResult`. */
  readonly onResponse?: (() => void) | undefined;
  readonly onFailure: (failure: Failure) => void;
  readonly signal: AbortSignal;
};

const backoff = { baseMs: 100, capMs: 10_000 };
/** A success that lasts less than this does not make the next failure the first one. */
const healthyAfterMs = 10_000;
/** A service that really changes is asked for this often… */
const movingPace = { burst: 10, everyMs: 100 };
/** …and one whose index stands still, is missing or goes back although we asked to wait for news, this seldom. */
const standingPace = { burst: 2, everyMs: 5000 };
/** What an answer brought goes live before the next request is made, which costs as much as to plan a change. */
const newsFirstMs = 10;
/** Ends when `signal` aborts. */
export async function follow(following: Following): Promise<void> {
  const { remembered, permit, waitMs, rest, onResult, onResponse, onFailure, signal } = following;
  // How near the agent is thought, is a part of `wait`.
  const reading = { ...following, slackMs: Math.max(2000, waitMs / 10) };
  const moving = new TokenBucket(movingPace, performance.now());
  const standing = new TokenBucket(standingPace, performance.now());
  let known = remembered;
  /** Whether `known` is what the agent said last. */
  let isCurrent = false;
  let failures = 0;
  let healthySince = performance.now();

  while (!signal.aborted) {
    let delayMs: Ms;
    try {
      const thisWaitMs = isCurrent && known !== undefined && rest !== undefined ? await rest(known) : waitMs;
      if (signal.aborted) return;
      using _permit = await permit();
      if (signal.aborted) return;
      const askedAt = performance.now();
      const answer = await read(reading, known, isCurrent ? thisWaitMs : null);
      onResponse?.();
      const now = performance.now();
      const waited = answer === known && known.index !== undefined && now - askedAt >= thisWaitMs / 2;
      const isMoving = hasMoved(isCurrent ? known : undefined, answer);
      if (waited) delayMs = 0;
      else delayMs = Math.max(newsFirstMs, (isMoving ? moving : standing).take(now));
      if (!isCurrent) healthySince = now;
      if (answer !== known || !isCurrent) onResult(answer);
      known = answer;
      isCurrent = true;
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - healthySince >= healthyAfterMs && isCurrent) failures = 0;
      const failure = failureOf(error, wallClock());
      delayMs = failure.retryAfterMs + backoffMs(failures, backoff);
      failures += 1;
      // Asked anew without an index, the next answer comes at once and says whether anything was missed.
      isCurrent = false;
      onFailure(failure);
    }
    if (delayMs > 0) await pause(delayMs, signal);
  }
}

function hasMoved(before: Known | undefined, now: Known): boolean {
  if (now.index === undefined) return false;
  return before?.index === undefined || now.index > before.index;
}
