/** Watches services of a Consul agent: one blocking query each, over a fixed number of connections. */
import { setMaxListeners } from 'node:events';
import type { ConsulQuery, ConsulWatcherConfig } from '../../src/config/schema.ts';
import { Latest } from '../../src/latest.ts';
import type { Ms, Query, Update, Watch } from '../../src/model.ts';
import { spellingsOfLogin } from '../login.ts';
import { withSynced } from '../synced.ts';
import { type Client, openClient, type Question } from './client.ts';
import { connectionOf } from './connection.ts';
import { follow } from './follow.ts';
import { Health } from './health.ts';
import { hiddenIn, type Known } from './reading.ts';
import { tokenReader } from './token.ts';
import { Turns } from './turns.ts';

/** `env` is read for what the settings leave open: the variables of the `consul` command line. */
export function watchConsul(
  settings: ConsulWatcherConfig,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
): Watch<ConsulQuery> {
  const given: Given = { settings, env, onSecret, memory: new Map() };
  return (queries, signal) => withSynced(queries, watch(given, queries, signal));
}

/** By question, what was known of it when the source failed: answers after that have to measure up to it. */
type Memory = Map<string, Known>;

/** The first question goes alone, so that an agent in trouble is asked once a try; but it holds up nobody for longer. */
const aloneMs = 1000;
/** When more is asked than there are connections, everyone gets a turn within about this time. */
const roundMs = 2000;
const shortestWaitMs = 100;
/** A datacenter that has said nothing for so long while another has answered is waited for no longer. */
const patienceMs = 3000;

type Given = {
  readonly settings: ConsulWatcherConfig;
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  readonly memory: Memory;
};

async function* watch(
  { settings, env, onSecret, memory }: Given,
  queries: readonly Query<ConsulQuery>[],
  signal: AbortSignal,
): AsyncGenerator<Update, void, undefined> {
  if (signal.aborted) return;
  const stop = new AbortController();
  // Every question in flight listens.
  setMaxListeners(0, stop.signal);
  signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal });

  const heard = new Latest<Update>();
  const { maxConnections } = settings;
  const turns = new Turns(1, maxConnections);
  const openAll = once(() => turns.add(maxConnections - 1));
  const alone = setTimeout(openAll, aloneMs);
  const stale = (key: string, reason: string, isUnanswerable: boolean): void =>
    heard.put(`stale ${key}`, { kind: 'stale', key, reason, ...(isUnanswerable && { isUnanswerable }) });
  let patience: NodeJS.Timeout | undefined;
  let following: Promise<void>[] = [];
  try {
    const connection = connectionOf(settings, env);
    const client = await openClient(connection, maxConnections, stop.signal);
    const token = tokenReader(connection, onSecret);
    const { basicAuth } = connection;
    if (basicAuth !== undefined) for (const spelling of spellingsOfLogin(basicAuth)) onSecret(spelling);
    const datacenters = new Map(queries.map((query) => [query.key, questionOf(query, settings).dc ?? '']));
    const health = new Health(connection, datacenters, maxConnections);
    patience = setTimeout(() => {
      for (const key of health.hanging) stale(key, `no answer from the datacenter ${health.datacenter(key)} yet`, true);
    }, patienceMs);
    following = queries.map(({ key, settings: query }) => {
      const question = questionOf({ key, settings: query }, settings);
      const id = JSON.stringify(question);
      return follow({
        query,
        question,
        hasToken: connection.token !== undefined || connection.tokenFile !== undefined,
        ask: (asked, timeoutMs) => ask(client, token, asked, timeoutMs),
        remembered: memory.get(id),
        turn: () => turns.take(health.datacenter(key), () => health.isWell(key)),
        waitMs: waitMsOf(settings, queries.length),
        onAnswer: (known) => {
          openAll();
          health.answered(key);
          memory.set(id, known);
          const { endpoints, unfit } = known;
          const hidden = hiddenIn(known, question.service);
          const unreadable = hidden === null ? [] : [{ id: question.service, reason: hidden }];
          heard.put(`endpoints ${key}`, { kind: 'endpoints', key, endpoints, unfit, unreadable });
        },
        onFailure: (failure) => {
          const verdict = health.failed(key, failure);
          if (verdict.kind === 'question') {
            openAll();
            stale(key, failure.reason, verdict.isUnanswerable);
          } else {
            heard.fail(verdict.error);
            stop.abort();
          }
        },
        signal: stop.signal,
      }).catch((error: unknown) => heard.fail(error));
    });
    yield* heard.read(signal);
  } finally {
    clearTimeout(alone);
    clearTimeout(patience);
    stop.abort();
    turns.add(Number.POSITIVE_INFINITY);
    await Promise.all(following);
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

function questionOf({ key, settings: query }: Query<ConsulQuery>, { datacenter }: ConsulWatcherConfig): Question {
  const dc = query.datacenter ?? datacenter;
  return {
    service: query.service ?? key,
    ...(query.tags.length === 0 ? {} : { tag: query.tags }),
    ...(query.filter === undefined ? {} : { filter: query.filter }),
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
