/** Watches services of a Consul agent: a blocking query for each, over a fixed number of connections. */
import type { Ms, Query, Watch } from '../../src/model.ts';
import { type HostMemory, Hosts, type LookUp, lookUpHere } from '../kit/hosts.ts';
import { Semaphore } from '../kit/semaphore.ts';
import { type Watching, watching } from '../kit/watching.ts';
import { ChangeFeed, perFeed } from './change-feed.ts';
import { type HealthRequest, openClient } from './client.ts';
import { connectionOf } from './connection.ts';
import { follow } from './follow.ts';
import type { ServiceResult } from './result.ts';
import { Schedule } from './schedule.ts';
import type { ConsulQuery, ConsulSettings } from './settings.ts';
import { SourceHealth } from './source-health.ts';
import { Updates } from './updates.ts';

/** `env` has the variables of the `consul` command line, which count where the settings say nothing. */
export function watchConsul(
  settings: ConsulSettings,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
  lookUp: LookUp = lookUpHere,
): Watch<ConsulQuery> {
  const context: Context = { settings, env, onSecret, lookUp, lastResults: new Map(), hostMemory: new Map() };
  return watching((call) => run(context, call));
}

/** The first query runs alone, so that an agent in trouble gets one request for each try; the others wait this long at most. */
const aloneMs: Ms = 1000;
/** Where queries outnumber connections, each one is sent about once in this time. */
const roundMs: Ms = 2000;
const shortestWaitMs: Ms = 100;
/** A restored snapshot is seen only after a wait: a short one costs little for one service… */
const usualWaitMs: Ms = 30_000;
/** …and much for a whole datacenter, whose responses are long. */
const longestWaitMs: Ms = 120_000;
/** Queries to a datacenter without any response after this time hold up nothing, where another datacenter has responded. */
const patienceMs: Ms = 3000;

type Context = {
  readonly settings: ConsulSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  readonly lookUp: LookUp;
  /** By request. Outlives a failure of the source: results after that are compared with these. */
  readonly lastResults: Map<string, ServiceResult>;
  readonly hostMemory: HostMemory;
};

async function run(
  { settings, env, onSecret, lookUp, lastResults, hostMemory }: Context,
  { queries, signal, emit, fail }: Watching<ConsulQuery>,
): Promise<void> {
  const { maxConnections } = settings;
  const datacenters = new Map(queries.map((query) => [query.key, requestOf(query, settings).dc ?? '']));
  const withFeed = datacentersWithFeed(settings, datacenters);
  const forFeeds = withFeed.length * perFeed;
  const connection = connectionOf(settings, env);
  const client = await openClient(connection, maxConnections, onSecret, signal);
  await using hosts = new Hosts({ lookUp, memory: hostMemory });
  const updates = new Updates({ settings, hosts, emit });
  const permits = new Semaphore(1, maxConnections - forFeeds);
  const schedule = new Schedule(waitMsOf(settings, queries.length));
  const health = new SourceHealth(connection, datacenters, maxConnections);

  let feeds: Promise<void>[] = [];
  const openAll = once(() => {
    permits.add(maxConnections - forFeeds - 1);
    feeds = withFeed.map((dc) =>
      new ChangeFeed({
        list: (request, timeoutMs) => client.list(dc === '' ? request : { ...request, dc }, timeoutMs),
        services: [...datacenters.values()].filter((one) => one === dc).length,
        waitMs: settings.wait ?? longestWaitMs,
        onChange: (changed) => schedule.changed(dc, changed),
        onUp: (isUp) => schedule.setFeed(dc, isUp),
        signal,
      }).run(),
    );
  });
  const alone = setTimeout(openAll, aloneMs);
  const patience = setTimeout(() => {
    for (const key of health.hanging)
      updates.failed(key, `no answer from the datacenter ${health.datacenter(key)} yet`, true);
  }, patienceMs);
  const end = (): void => {
    clearTimeout(alone);
    clearTimeout(patience);
    permits.add(Number.POSITIVE_INFINITY);
    schedule.end();
  };
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();

  const following = queries.map((query) => {
    const { key } = query;
    const request = requestOf(query, settings);
    const id = JSON.stringify(request);
    return follow({
      query: query.settings,
      request,
      hasToken: connection.token !== undefined || connection.tokenFile !== undefined,
      send: client.health,
      last: lastResults.get(id),
      permit: () => permits.acquire(health.datacenter(key), () => health.isWell(key)),
      waitMs: waitMsOf(settings, queries.length),
      rest: withFeed.length === 0 ? undefined : schedule.join(health.datacenter(key), request.service),
      onResponse() {
        openAll();
        health.succeeded(key);
      },
      onResult(result) {
        lastResults.set(id, result);
        updates.received(key, result);
      },
      onFailure(failure) {
        const verdict = health.failed(key, failure);
        if (verdict.kind === 'source') return fail(verdict.error);
        openAll();
        updates.failed(key, failure.reason, verdict.isUnanswerable);
      },
      signal,
    }).catch(fail);
  });
  await Promise.all(following);
  await Promise.all(feeds);
}

/** All datacenters, where services outnumber connections and these suffice for the feeds; else none. */
function datacentersWithFeed(
  { maxConnections }: ConsulSettings,
  datacenters: ReadonlyMap<string, string>,
): readonly string[] {
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
