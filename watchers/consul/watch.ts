/** Watches services of a Consul agent, listed or discovered: a blocking query for each, over a fixed number of connections. */
import type { DiscoveredService, Ms, Query, Watch } from '../../src/model.ts';
import { type HostMemory, Hosts, type LookUp, lookUpHere } from '../kit/hosts.ts';
import { Semaphore } from '../kit/semaphore.ts';
import { type Watching, watching } from '../kit/watching.ts';
import { type ConsulResponse, type HealthRequest, type ListRequest, openClient } from './agent/client.ts';
import { connectionOf } from './agent/connection.ts';
import type { Failure } from './agent/failure.ts';
import { SourceHealth } from './agent/source-health.ts';
import { CatalogIndex } from './catalog/catalog-index.ts';
import { filterOfInstances, followNames } from './catalog/catalog-names.ts';
import { ChangeFeed, perFeed } from './catalog/change-feed.ts';
import { Discovery } from './catalog/discovery.ts';
import { meantBy } from './catalog/own-options.ts';
import { Schedule } from './catalog/schedule.ts';
import { folded } from './names.ts';
import { BlockingQueries } from './service/blocking-queries.ts';
import { type Following, follow } from './service/follow.ts';
import type { ServiceResult } from './service/result.ts';
import { Updates } from './service/updates.ts';
import { type ConsulDiscovery, type ConsulQuery, type ConsulSettings, consulQuery } from './settings.ts';

/** About one service, or for all that are to be discovered. */
type Asked = ConsulQuery | ConsulDiscovery;

/** `env` has the variables of the `consul` command line, which count where the settings say nothing. */
export function watchConsul(
  settings: ConsulSettings,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
  lookUp: LookUp = lookUpHere,
): Watch<Asked> {
  const context: Context = {
    ...{ settings, env, onSecret, lookUp },
    ...{ lastResults: new Map(), hostMemory: new Map(), told: new Map() },
  };
  return watching((call) => run(context, call));
}

/** The first query runs alone, so that an agent in trouble gets one request for each try; the others wait this long at most. */
const aloneMs: Ms = 1000;
/** Where queries outnumber connections, each one is sent about once in this time. */
const roundMs: Ms = 2000;
const shortestWaitMs: Ms = 100;
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
  /** Discovered services by key, which outlive it as well. */
  readonly told: Map<string, DiscoveredService>;
};

async function run(
  { settings, env, onSecret, lookUp, lastResults, hostMemory, told }: Context,
  { queries, signal, emit, fail }: Watching<Asked>,
): Promise<void> {
  const single = queries.filter(isForOne);
  const [many] = queries.filter(isForMany);
  const datacenters = new Map(queries.map((query) => [query.key, datacenterOf(query, settings)]));
  const budget = budgetOf(settings, datacenters, many !== undefined);
  const connection = connectionOf(settings, env);
  const hasToken = connection.token !== undefined || connection.tokenFile !== undefined;
  const client = await openClient(connection, settings.maxConnections, onSecret, signal);
  await using hosts = new Hosts({ lookUp, memory: hostMemory });
  const updates = new Updates({ settings, hosts, emit });
  const permits = new Semaphore(1, budget.permits);
  const followed = (): number => single.length + (discovery?.size ?? 0);
  /** The connections, or who shares them, never change. */
  const isFixed = budget.feeds.length === 0 && many === undefined;
  /** Discovered services may become more than the connections at any time: without a feed they take turns beforehand. */
  const fewest = many !== undefined && budget.feeds.length === 0 ? budget.permits + 1 : 0;
  const turnMs = (): Ms => waitMsOf(settings, Math.max(followed(), fewest), budget.permits);
  const schedule = new Schedule(turnMs);
  const blockingByDatacenter = new Map<string, BlockingQueries>();
  const blockingIn = (datacenter: string): BlockingQueries => {
    const its = blockingByDatacenter.get(datacenter) ?? new BlockingQueries();
    blockingByDatacenter.set(datacenter, its);
    return its;
  };
  const health = new SourceHealth(connection, datacenters, settings.maxConnections);
  const running = new Set<Promise<void>>();
  const begin = (work: Promise<void>): void => {
    const one = work.catch(fail).finally(() => running.delete(one));
    running.add(one);
  };

  const listIn = (dc: string, request: ListRequest, timeoutMs: Ms): Promise<ConsulResponse> =>
    client.list(dc === '' ? request : { ...request, dc }, timeoutMs);
  /** Of the list that tells of new names, for the feed of the same datacenter. */
  const catalogIndex = new CatalogIndex();
  const feeds = new Map<string, ChangeFeed>();
  const openFeeds = once(() => {
    for (const dc of budget.feeds) {
      const feed = new ChangeFeed({
        list: (request, timeoutMs) =>
          request.what === 'services' && many !== undefined && datacenterOf(many, settings) === dc
            ? catalogIndex.response(request.index)
            : listIn(dc, request, timeoutMs),
        services: () => [...datacenters.values()].filter((one) => one === dc).length + (discovery?.size ?? 0),
        waitMs: settings.wait,
        onChange: (changed) => schedule.changed(dc, changed),
        onUp: (isUp) => schedule.setFeed(dc, isUp),
        signal,
      });
      feeds.set(dc, feed);
      begin(feed.run());
    }
  });
  let isOpen = false;
  const openFeedsIfNeeded = (): void => {
    if (isOpen && followed() > budget.feedAbove) openFeeds();
  };
  const openAll = once(() => {
    isOpen = true;
    permits.add(budget.permits - 1);
    openFeedsIfNeeded();
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
    discovery?.end();
    catalogIndex.fail(signal.reason);
  };

  /** Whether the failure is one of this query alone; else the source has failed. */
  const judged = (key: string, failure: Failure, onQuery: (isUnanswerable: boolean) => void): void => {
    const verdict = health.failed(key, failure);
    if (verdict.kind === 'source') fail(verdict.error);
    else {
      openAll();
      onQuery(verdict.isUnanswerable);
    }
  };
  const followOne = (
    query: Query<ConsulQuery>,
    its: Pick<Updates, 'received' | 'failed'>,
    stop: AbortSignal,
    isMeant: Following['isMeant'] = null,
  ): void => {
    const { key } = query;
    const request = requestOf(query, settings);
    const id = JSON.stringify([request, isMeant !== null]);
    const forget = (): void => {
      // Where the source has failed, its next start compares with these.
      if (signal.aborted) return;
      lastResults.delete(id);
      health.remove(key);
    };
    stop.addEventListener('abort', forget, { once: true });
    const following = follow({
      query: query.settings,
      request,
      hasToken,
      isMeant,
      send: client.health,
      blocking: blockingIn(health.datacenter(key)),
      last: lastResults.get(id),
      permit: (isFirst) => permits.acquire(health.datacenter(key), () => health.isWell(key), isFirst),
      waitMs: turnMs(),
      rest: isFixed ? undefined : schedule.join(health.datacenter(key), request.service, stop),
      onResponse() {
        openAll();
        health.succeeded(key);
      },
      onResult(result) {
        lastResults.set(id, result);
        its.received(key, result);
      },
      onFailure: (failure) => judged(key, failure, (isUnanswerable) => its.failed(key, failure.reason, isUnanswerable)),
      signal: stop,
    });
    begin(following);
  };

  const discoveryFor = ({ key: all, settings: selection }: Query<ConsulDiscovery>, dc: string): Discovery => {
    const made: Discovery = new Discovery({
      key: all,
      ...{ selection, told, emit, updates },
      follow(key, service, stop) {
        health.add(key, dc);
        followOne({ key, settings: queryFor(service, selection) }, made, stop, meantBy(selection));
        openFeedsIfNeeded();
      },
      doubt: (service) => schedule.changed(dc, new Map([[folded(service), null]])),
    });
    return made;
  };
  const discovery = many === undefined ? undefined : discoveryFor(many, datacenterOf(many, settings));
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  for (const query of single) followOne(query, updates, signal);
  if (many !== undefined && discovery !== undefined) {
    const dc = datacenterOf(many, settings);
    const following = followNames({
      list: (request, timeoutMs) => listIn(dc, request, timeoutMs),
      selection: many.settings,
      hasToken,
      waitMs: settings.wait,
      onNames(names, index) {
        openAll();
        health.succeeded(many.key);
        const isExplained = discovery.listed(names);
        feeds.get(dc)?.registered(isExplained);
        catalogIndex.set(index);
      },
      onFailure(failure) {
        catalogIndex.fail(new Error(failure.reason));
        judged(many.key, failure, (isUnanswerable) => discovery.listFailed(failure.reason, isUnanswerable));
      },
      signal,
    });
    begin(following);
  }
  while (running.size > 0) await Promise.all(running);
}

function isForMany(query: Query<Asked>): query is Query<ConsulDiscovery> {
  return 'meta' in query.settings;
}

function isForOne(query: Query<Asked>): query is Query<ConsulQuery> {
  return !isForMany(query);
}

function datacenterOf({ settings: asked }: Query<Asked>, { datacenter = '' }: ConsulSettings): string {
  return ('datacenter' in asked ? asked.datacenter : undefined) ?? datacenter;
}

/**
 * Those of its instances that are meant, and no others, serve a service that was discovered. Its name is anybody's: it is not judged as
 * those of a config are, which would fail all services for the name of one.
 */
function queryFor(service: string, selection: ConsulDiscovery): ConsulQuery {
  const { tag, meta, warning } = selection;
  const filter = Object.keys(meta).length === 0 ? {} : { filter: filterOfInstances({ meta }) };
  return { ...consulQuery.parse({ tags: tag === undefined ? [] : [tag], ...filter, warning }), service };
}

type Budget = {
  /** For queries about single services. */
  readonly permits: number;
  /** The datacenters that may have a feed. */
  readonly feeds: readonly string[];
  /** They have it where more services than this are followed. */
  readonly feedAbove: number;
};

/**
 * Feeds are for services that outnumber connections, where these suffice for the feeds. The number of discovered services is not
 * known beforehand: a feed comes while there are connections for half as many more, so that none of these has to wait for one.
 */
function budgetOf(
  { maxConnections }: ConsulSettings,
  datacenters: ReadonlyMap<string, string>,
  isDiscovering: boolean,
): Budget {
  const all = [...new Set(datacenters.values())];
  const free = maxConnections - (isDiscovering ? 1 : 0);
  const isCrowded = isDiscovering || datacenters.size > maxConnections;
  if (!isCrowded || free < 2 * perFeed * all.length)
    return { permits: free, feeds: [], feedAbove: Number.POSITIVE_INFINITY };
  const permits = free - perFeed * all.length;
  return { permits, feeds: all, feedAbove: isDiscovering ? permits / 2 : 0 };
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

function waitMsOf({ wait }: ConsulSettings, requests: number, permits: number): Ms {
  if (requests <= permits) return wait;
  return Math.min(wait, Math.max(shortestWaitMs, (roundMs * permits) / requests));
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}
