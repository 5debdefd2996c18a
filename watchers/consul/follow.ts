/** Follows one service by blocking queries, for ever: the rules of Consul's index, of its pace and of doubtful answers. */

import { wallClock } from '../../src/clock.ts';
import type { ConsulQuery } from '../../src/config/schema.ts';
import { AppError } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { backoffMs, pause } from '../../src/retry.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { Answer, Question } from './client.ts';
import { endpointsOf, type Found, readInstances } from './endpoints.ts';
import { type Failure, failureOf } from './failure.ts';

export type Following = {
  readonly query: ConsulQuery;
  /** What is the same in every question about this service. */
  readonly question: Question;
  /** Whether it is asked with a token: without one Consul does not say that it hides something. */
  readonly hasToken: boolean;
  readonly ask: (question: Question, timeoutMs: Ms) => Promise<Answer>;
  /** Waits for one of the connections; held while it is asked. */
  readonly turn: () => Promise<Disposable>;
  readonly waitMs: Ms;
  readonly onAnswer: (found: Found) => void;
  readonly onFailure: (failure: Failure) => void;
  readonly signal: AbortSignal;
};

/** What the last good answer said; without an index (a proxy dropped the header) the service is polled. */
type Known = Found & {
  readonly index: bigint | undefined;
  /** Those that are not served included. */
  readonly instances: number;
};

const backoff = { baseMs: 100, capMs: 10_000 };
/** A success that lasts less than this does not make the next failure the first one. */
const healthyAfterMs = 10_000;
/** A service that really changes is asked for this often… */
const movingPace = { burst: 10, everyMs: 100 };
/** …and one whose index stands still, is missing or goes back although we asked to wait for news, this seldom. */
const standingPace = { burst: 2, everyMs: 5000 };
/** What an answer brought goes live before the next question is made, which costs as much as to plan a change. */
const newsFirstMs = 10;
/** A server that lost touch with the leader for longer than this is not believed. */
const longestLagMs = 10_000;

/** Ends when `signal` aborts. */
export async function follow({ turn, waitMs, onAnswer, onFailure, signal, ...reading }: Following): Promise<void> {
  const moving = new TokenBucket(movingPace, performance.now());
  const standing = new TokenBucket(standingPace, performance.now());
  let known: Known | undefined;
  let failures = 0;
  let healthySince = performance.now();

  while (!signal.aborted) {
    let delayMs: Ms;
    try {
      using _turn = await turn();
      if (signal.aborted) return;
      const askedAt = performance.now();
      const answer = await read(reading, known, waitMs);
      const now = performance.now();
      const waited = answer === known && known.index !== undefined && now - askedAt >= waitMs / 2;
      if (waited) delayMs = 0;
      else delayMs = Math.max(newsFirstMs, (hasMoved(known, answer) ? moving : standing).take(now));
      if (known === undefined) healthySince = now;
      if (answer !== known) onAnswer(answer);
      known = answer;
    } catch (error) {
      if (signal.aborted) return;
      if (performance.now() - healthySince >= healthyAfterMs && known !== undefined) failures = 0;
      const failure = failureOf(error, wallClock());
      delayMs = failure.retryAfterMs + backoffMs(failures, backoff);
      failures += 1;
      // Asked anew without an index, the next answer comes at once and says whether anything was missed.
      known = undefined;
      onFailure(failure);
    }
    if (delayMs > 0) await pause(delayMs, signal);
  }
}

/** `index` of an answer: never 0, which would ask for an answer at once for ever. Opaque but for being comparable. */
export function indexOf(header: string | readonly string[] | undefined): bigint | undefined {
  if (typeof header !== 'string' || !/^\d{1,20}$/.test(header)) return undefined;
  const index = BigInt(header);
  return index === 0n ? 1n : index;
}

function hasMoved(before: Known | undefined, now: Known): boolean {
  if (now.index === undefined) return false;
  return before?.index === undefined || now.index > before.index;
}

/** Returns `known` itself when its index has not moved. */
async function read(
  { ask, question, ...expected }: Pick<Following, 'ask' | 'question' | 'query' | 'hasToken'>,
  known: Known | undefined,
  waitMs: Ms,
): Promise<Known> {
  // How long an answer may take that need not wait for news; a part of `wait`, which says how near the agent is thought.
  const slackMs = Math.max(2000, waitMs / 10);
  const stale = expected.query.stale ? { stale: true } : {};
  const first =
    known?.index === undefined
      ? await ask({ ...question, ...stale }, slackMs)
      : // Not all questions wait equally long, lest they all come back at once; the agent adds up to a sixteenth.
        await ask(
          {
            ...question,
            ...stale,
            index: `${known.index}`,
            wait: `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`,
          },
          (waitMs * 17) / 16 + slackMs,
        );
  // An index that stands still says that nothing changed, and what follows need not be read. Fewer instances under it
  // contradict that: a streaming agent shows so, and no otherwise, that the token has lost its rights.
  const stands = known?.index !== undefined && indexIn(first) === known.index;
  if (stands && Array.isArray(first.body) && first.body.length >= known.instances) return known;
  const answer = understand(first, question.service, expected);
  if (!stands && !isDoubtful(first, answer, known)) return answer;
  return understand(await ask({ ...question, consistent: true }, slackMs), question.service, expected);
}

/** Such an answer counts only once the leader, sure of being it, has said the same. */
function isDoubtful({ headers }: Answer, answer: Known, known: Known | undefined): boolean {
  const becameEmpty = answer.endpoints.length === 0 && (known === undefined || known.endpoints.length > 0);
  const wentBack = known?.index !== undefined && answer.index !== undefined && answer.index < known.index;
  // Answers of an agent's streaming backend always say that there is no known leader.
  const leaderless = headers['x-consul-query-backend'] !== 'streaming' && headers['x-consul-knownleader'] === 'false';
  const lags = leaderless || Number(headers['x-consul-lastcontact'] ?? 0) > longestLagMs;
  return becameEmpty || wentBack || lags;
}

function understand(
  answer: Answer,
  service: string,
  { query, hasToken }: Pick<Following, 'query' | 'hasToken'>,
): Known {
  const instances = readInstances(answer.body);
  if (instances.length === 0) refuseFiltered(answer.headers, service, hasToken);
  return { index: indexIn(answer), ...endpointsOf(instances, query), instances: instances.length };
}

function indexIn({ headers }: Answer): bigint | undefined {
  return indexOf(headers['x-consul-index']);
}

/** Without sufficient rights Consul shows an empty list where it could say 403; that is no absence. */
function refuseFiltered(headers: Answer['headers'], service: string, hasToken: boolean): void {
  if (headers['x-consul-results-filtered-by-acls'] === 'true')
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `the token may not see ${JSON.stringify(service)}: it lacks service:read for it or node:read for its nodes`,
    );
  if (!hasToken && headers['x-consul-default-acl-policy'] === 'deny')
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `nothing of ${JSON.stringify(service)} can be seen without a token that has service:read and node:read`,
      { remedy: 'set `token`, `tokenFile` or CONSUL_HTTP_TOKEN' },
    );
}
