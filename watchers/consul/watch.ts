/** Watches services of a Consul agent: one blocking query each, over a fixed number of connections. */
import { setMaxListeners } from 'node:events';
import { Latest } from '../../src/lib/latest.ts';
import type { Ms, Query, Update, Watch } from '../../src/model.ts';
import { type HostMemory, Hosts, type LookUp, lookUpHere } from '../kit/hosts.ts';
import { spellingsOfLogin } from '../kit/login.ts';
import { withSynced } from '../kit/synced.ts';
import { type Answer, openClient, type Question } from './client.ts';
import { connectionOf } from './connection.ts';
import { Feed, perFeed } from './feed.ts';
import { follow } from './follow.ts';
import { Health } from './health.ts';
import { Naming } from './naming.ts';
import { hiddenIn, type Known } from './reading.ts';
import { Rota } from './rota.ts';
import type { ConsulQuery, ConsulSettings } from './settings.ts';
import { tokenReader } from './token.ts';
import { Turns } from './turns.ts';

/** `env` is read for what the settings leave open: the variables of the `consul` command line. */
export function watchConsul(
  settings: ConsulSettings,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
  lookUp: LookUp = lookUpHere,
): Watch<ConsulQuery> {
  const given: Given = { settings, env, onSecret, lookUp, memory: new Map(), hostMemory: new Map() };
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
  readonly settings: ConsulSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  readonly lookUp: LookUp;
  readonly memory: Memory;
  readonly hostMemory: HostMemory;
};

async function* watch(
  { settings, env, onSecret, lookUp, memory, hostMemory }: Given,
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
  const datacenters = new Map(queries.map((query) => [query.key, questionOf(query, settings).dc ?? '']));
  const fed = fedBy(settings, datacenters);
  const mostTurns = maxConnections - fed.length * perFeed;
  const turns = new Turns(1, mostTurns);
  const rota = new Rota(waitMsOf(settings, queries.length));
  await using hosts = new Hosts({ lookUp, memory: hostMemory });
  const naming = new Naming({ settings, hosts, tell: (update) => heard.put(`${update.kind} ${update.key}`, update) });
  const stale = (key: string, reason: string, isUnanswerable: boolean): void => {
    naming.failed(key);
    heard.put(`stale ${key}`, { kind: 'stale', key, reason, ...(isUnanswerable && { isUnanswerable }) });
  };
  let [alone, patience]: (NodeJS.Timeout | undefined)[] = [];
  let following: Promise<void>[] = [];
  let feeding: Promise<void>[] = [];
  try {
    const connection = connectionOf(settings, env);
    const client = await openClient(connection, maxConnections, stop.signal);
    const token = tokenReader(connection, onSecret);
    const { basicAuth } = connection;
    if (basicAuth !== undefined) for (const spelling of spellingsOfLogin(basicAuth)) onSecret(spelling);
    const ask = async <Asked>(call: (asked: Asked, timeoutMs: Ms) => Promise<Answer>, asked: Asked, timeoutMs: Ms) => {
      const current = await token();
      return call(current === undefined ? asked : { ...asked, token: current }, timeoutMs);
    };
    const openAll = once(() => {
      turns.add(mostTurns - 1);
      feeding = fed.map((dc) => {
        const services = [...datacenters.values()].filter((one) => one === dc).length;
        return new Feed({
          look: (look, timeoutMs) => ask(client.look, dc === '' ? look : { ...look, dc }, timeoutMs),
          services,
          waitMs: settings.wait,
          onChange: (changed) => rota.changed(dc, changed),
          onFed: (isFed) => rota.setFed(dc, isFed),
          signal: stop.signal,
        }).run();
      });
    });
    alone = setTimeout(openAll, aloneMs);
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
        ask: (asked, timeoutMs) => ask(client.ask, asked, timeoutMs),
        remembered: memory.get(id),
        turn: () => turns.take(health.datacenter(key), () => health.isWell(key)),
        waitMs: waitMsOf(settings, queries.length),
        rest: fed.length === 0 ? undefined : rota.join(health.datacenter(key), question.service),
        onHeard: () => {
          openAll();
          health.answered(key);
        },
        onAnswer: (known) => {
          memory.set(id, known);
          const hidden = hiddenIn(known, question.service);
          naming.answered(key, known, hidden === null ? [] : [{ id: question.service, reason: hidden }]);
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
    rota.end();
    await Promise.all([...following, ...feeding]);
  }
}

/** The datacenters whose changes are told by a feed: all, where services are more than connections and those suffice. */
function fedBy({ maxConnections }: ConsulSettings, datacenters: ReadonlyMap<string, string>): readonly string[] {
  const all = [...new Set(datacenters.values())];
  return datacenters.size > maxConnections && maxConnections >= 2 * perFeed * all.length ? all : [];
}

function questionOf({ key, settings: query }: Query<ConsulQuery>, { datacenter }: ConsulSettings): Question {
  const dc = query.datacenter ?? datacenter;
  return {
    service: query.service ?? key,
    ...(query.tags.length === 0 ? {} : { tag: query.tags }),
    ...(query.filter === undefined ? {} : { filter: query.filter }),
    ...(dc === undefined ? {} : { dc }),
  };
}

function waitMsOf({ wait, maxConnections }: ConsulSettings, questions: number): Ms {
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
