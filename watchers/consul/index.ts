/** Watches services of a Consul agent: one blocking query each, over a fixed number of connections. */
import { setMaxListeners } from 'node:events';
import type { ConsulQuery, ConsulWatcherConfig } from '../../src/config/schema.ts';
import { AppError } from '../../src/errors.ts';
import { Latest } from '../../src/latest.ts';
import type { Ms, Query, Update, Watch } from '../../src/model.ts';
import { withSynced } from '../synced.ts';
import { type Client, openClient, type Question } from './client.ts';
import { type Connection, connectionOf } from './connection.ts';
import type { Failure } from './failure.ts';
import { follow } from './follow.ts';
import { tokenReader } from './token.ts';
import { Turns } from './turns.ts';

/** `env` is read for what the settings leave open: the variables of the `consul` command line. */
export function watchConsul(settings: ConsulWatcherConfig, env: NodeJS.ProcessEnv): Watch<ConsulQuery> {
  return (queries, signal) => withSynced(queries, watch(settings, env, queries, signal));
}

/** The first question goes alone, so that an agent in trouble is asked once a try; but it holds up nobody for longer. */
const aloneMs = 1000;
/** When more is asked than there are connections, everyone gets a turn within about this time. */
const roundMs = 2000;
const shortestWaitMs = 100;
/** When all questions failed one by one, asking them all again is put off by this much for each. */
const perQuestionMs = 5;

async function* watch(
  settings: ConsulWatcherConfig,
  env: NodeJS.ProcessEnv,
  queries: readonly Query<ConsulQuery>[],
  signal: AbortSignal,
): AsyncGenerator<Update, void, undefined> {
  if (signal.aborted) return;
  const stop = new AbortController();
  // Every question in flight listens.
  setMaxListeners(0, stop.signal);
  signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal });

  const heard = new Latest<Update>();
  const turns = new Turns(1);
  const openAll = once(() => turns.add(settings.maxConnections - 1));
  const alone = setTimeout(openAll, aloneMs);
  let following: Promise<void>[] = [];
  try {
    const connection = connectionOf(settings, env);
    const client = await openClient(connection, settings.maxConnections, stop.signal);
    const token = tokenReader(connection);
    const failing = new Failing(connection, settings, queries);
    following = queries.map(({ key, settings: query }) =>
      follow({
        query,
        question: questionOf(query, key, settings),
        hasToken: connection.token !== undefined || connection.tokenFile !== undefined,
        ask: (question, timeoutMs) => ask(client, token, question, timeoutMs),
        turn: () => turns.take(),
        waitMs: waitMsOf(settings, queries.length),
        onAnswer: ({ endpoints, unfit }) => {
          openAll();
          failing.delete(key);
          heard.put(`endpoints ${key}`, { kind: 'endpoints', key, endpoints, unfit });
        },
        onFailure: (failure) => {
          const error = failing.add(key, failure);
          if (error === undefined) {
            openAll();
            heard.put(`stale ${key}`, { kind: 'stale', key, reason: failure.reason });
          } else {
            heard.fail(error);
            stop.abort();
          }
        },
        signal: stop.signal,
      }).catch((error: unknown) => heard.fail(error)),
    );
    yield* heard.read(signal);
  } finally {
    clearTimeout(alone);
    stop.abort();
    turns.add(Number.POSITIVE_INFINITY);
    await Promise.all(following);
  }
}

/** Knows when it is not single questions that fail but the source. */
class Failing {
  readonly #connection: Connection;
  readonly #questions: number;
  readonly #datacenters: number;
  readonly #keys = new Set<string>();
  #answered = false;

  constructor(connection: Connection, settings: ConsulWatcherConfig, queries: readonly Query<ConsulQuery>[]) {
    this.#connection = connection;
    this.#questions = queries.length;
    this.#datacenters = new Set(queries.map((query) => query.settings.datacenter ?? settings.datacenter)).size;
  }

  delete(key: string): void {
    this.#answered = true;
    this.#keys.delete(key);
  }

  /** Returns an error when the whole source is down: every question fails, or the first one for a reason all share. */
  add(key: string, { reason, retryAfterMs, scope }: Failure): AppError | undefined {
    this.#keys.add(key);
    const isShared = scope === 'agent' || (scope === 'datacenter' && this.#datacenters === 1);
    const isWhole = this.#keys.size === this.#questions || (isShared && !this.#answered);
    if (!isWhole) return undefined;
    return new AppError('MYELIN_SOURCE_FAILED', `Consul at ${this.#connection.name}: ${reason}`, {
      retryAfterMs: Math.max(retryAfterMs, isShared ? 0 : this.#questions * perQuestionMs),
    });
  }
}

async function ask(
  client: Client,
  token: () => Promise<string | undefined>,
  question: Question,
  timeoutMs: Ms,
): ReturnType<Client['ask']> {
  const current = await token();
  return client.ask(current === undefined ? question : { ...question, token: current }, timeoutMs);
}

function questionOf(query: ConsulQuery, key: string, { datacenter }: ConsulWatcherConfig): Question {
  const dc = query.datacenter ?? datacenter;
  return {
    service: query.service ?? key,
    ...(query.tags.length === 0 ? {} : { tag: query.tags }),
    ...(query.filter === undefined ? {} : { filter: query.filter }),
    ...(query.near === undefined ? {} : { near: query.near }),
    ...(dc === undefined ? {} : { dc }),
  };
}

function waitMsOf({ wait, maxConnections }: ConsulWatcherConfig, questions: number): Ms {
  if (questions <= maxConnections) return wait;
  return Math.min(wait, Math.max(shortestWaitMs, (roundMs * maxConnections) / questions));
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}
