/** Watches services of a Consul agent: one blocking query each, over a fixed number of connections. */
import type { Ms, Query, Watch } from '../../src/model.ts';
import { type HostMemory, Hosts, type LookUp, lookUpHere } from '../kit/hosts.ts';
import { Semaphore } from '../kit/semaphore.ts';
import { type Watching, watching } from '../kit/watching.ts';
import { type HealthRequest, openClient } from './client.ts';
import { connectionOf } from './connection.ts';
import { Feed, perFeed } from './feed.ts';
import { follow } from './follow.ts';
import { Health } from './health.ts';
import { Naming } from './names.ts';
import { hiddenIn, type Known } from './reading.ts';
import { Rota } from './rota.ts';
import type { ConsulQuery, ConsulSettings } from './settings.ts';

/** `env` is read for what the settings leave open: the variables of the `consul` command line. */
export function watchConsul(
  settings: ConsulSettings,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
  lookUp: LookUp = lookUpHere,
): Watch<ConsulQuery> {
  const given: Given = { settings, env, onSecret, lookUp, memory: new Map(), hostMemory: new Map() };
  return watching((call) => run(given, call));
}

/** By request, what was known of it when the source failed: answers after that have to measure up to it. */
type Memory = Map<string, Known>;

/** The first request goes alone, so that an agent in trouble is asked once a try; but it holds up nobody for longer. */
const aloneMs = 1000;
/** When more is asked than there are connections, everyone gets a turn within about this time. */
const roundMs = 2000;
const shortestWaitMs = 100;
/** What a snapshot has brought back is seen only once this is over, and asking anew costs little… */
const usualWaitMs = 30_000;
/** …but for what tells of a whole datacenter, whose answers are long. */
const longestWaitMs = 120_000;
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

async function run(
  { settings, env, onSecret, lookUp, memory, hostMemory }: Given,
  { queries, signal, emit, fail }: Watching<ConsulQuery>,
): Promise<void> {
  const { maxConnections } = settings;
  const datacenters = new Map(queries.map((query) => [query.key, requestOf(query, settings).dc ?? '']));
  const fed = fedBy(settings, datacenters);
  const connection = connectionOf(settings, env);
  const client = await openClient(connection, maxConnections, onSecret, signal);
  await using hosts = new Hosts({ lookUp, memory: hostMemory });
  const naming = new Naming({ settings, hosts, emit });
  const permits = new Semaphore(1, maxConnections - fed.length * perFeed);
  const rota = new Rota(waitMsOf(settings, queries.length));
  const health = new Health(connection, datacenters, maxConnections);

  let feeding: Promise<void>[] = [];
  const openAll = once(() => {
    permits.add(maxConnections - fed.length * perFeed - 1);
    feeding = fed.map((dc) =>
      new Feed({
        list: (request, timeoutMs) => client.list(dc === '' ? request : { ...request, dc }, timeoutMs),
        services: [...datacenters.values()].filter((one) => one === dc).length,
        waitMs: settings.wait ?? longestWaitMs,
        onChange: (changed) => rota.changed(dc, changed),
        onFed: (isFed) => rota.setFed(dc, isFed),
        signal,
      }).run(),
    );
  });
  const alone = setTimeout(openAll, aloneMs);
  const patience = setTimeout(() => {
    for (const key of health.hanging)
      naming.failed(key, `no answer from the datacenter ${health.datacenter(key)} yet`, true);
  }, patienceMs);
  const end = (): void => {
    clearTimeout(alone);
    clearTimeout(patience);
    permits.add(Number.POSITIVE_INFINITY);
    rota.end();
  };
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();

  const following = queries.map(({ key, settings: query }) => {
    const request = requestOf({ key, settings: query }, settings);
    const id = JSON.stringify(request);
    return follow({
      query,
      request,
      hasToken: connection.token !== undefined || connection.tokenFile !== undefined,
      send: client.health,
      remembered: memory.get(id),
      permit: () => permits.acquire(health.datacenter(key), () => health.isWell(key)),
      waitMs: waitMsOf(settings, queries.length),
      rest: fed.length === 0 ? undefined : rota.join(health.datacenter(key), request.service),
      onResponse: () => {
        openAll();
        health.answered(key);
      },
      onResult: (known) => {
        memory.set(id, known);
        const hidden = hiddenIn(known, request.service);
        naming.received(key, known, hidden === null ? [] : [{ id: request.service, reason: hidden }]);
      },
      onFailure: (failure) => {
        const verdict = health.failed(key, failure);
        if (verdict.kind === 'source') return fail(verdict.error);
        openAll();
        naming.failed(key, failure.reason, verdict.isUnanswerable);
      },
      signal,
    }).catch(fail);
  });
  await Promise.all(following);
  await Promise.all(feeding);
}

/** The datacenters whose changes are told by a feed: all, where services are more than connections and those suffice. */
function fedBy({ maxConnections }: ConsulSettings, datacenters: ReadonlyMap<string, string>): readonly string[] {
  const all = [...new Set(datacenters.values())];
  return datacenters.size > maxConnections && maxConnections >= 2 * perFeed * all.length ? all : [];
}

function requestOf({ key, settings: query }: Query<ConsulQuery>, { datacenter }: ConsulSettings): HealthRequest {
  const dc = query.datacenter ?? datacenter;
  return {
    service: query.service ?? key,
    ...(query.tags.length === 0 ? {} : { tag: query.tags }),
    ...(query.filter === undefined ? {} : { filter: query.filter }),
    ...(dc === undefined ? {} : { dc }),
  };
}

function waitMsOf({ wait = usualWaitMs, maxConnections }: ConsulSettings, requests: number): Ms {
  if (requests <= maxConnections) return wait;
  return Math.min(wait, Math.max(shortestWaitMs, (roundMs * maxConnections) / requests));
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}
