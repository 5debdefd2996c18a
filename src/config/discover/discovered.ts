/**
 * Services that nobody listed, as if the config listed them: what sources discover, within the administrator's limits,
 * each judged as the config is. Pure: every replica makes the same services of the same discovered ones, in whatever
 * order.
 */
import { differenceOfLists } from '../../lib/difference.ts';
import { SortedMap } from '../../lib/sorted-map.ts';
import type { DiscoveredService } from '../../model.ts';
import type { Route } from '../../routes/route.ts';
import { sharedFrontends } from '../routes.ts';
import type { Limits } from '../schema/discovery.ts';
import type { Config, Discovery, Origin, Service } from '../schema.ts';
import { Claims } from '../validate/claims.ts';
import { replaceAt } from '../validate/validate.ts';
import { proxyName } from '../values.ts';
import { readOption } from './read-option.ts';
import { readRoutes } from './read-routes.ts';

export type Discovered = { readonly discovery: Discovery; readonly service: DiscoveredService };

/** A service that is not served, and why. */
export type Rejected = { readonly watcher: string; readonly service: string; readonly reason: string };

type Served = { readonly config: Config; readonly rejected: readonly Rejected[] };

/** `config` with the discovered services; the same object where there are none. */
export function withDiscovered(config: Config, discovered: readonly Discovered[]): Served {
  if (discovered.length === 0) return { config, rejected: [] };
  const before = last.get(config);
  const next = (before === undefined ? null : follow(before, config, discovered)) ?? judgeAll(config, discovered);
  last.set(config, next);
  return next.served;
}

type Judgement = {
  readonly discovered: readonly Discovered[];
  readonly served: Served;
  /** Of all that are served. They go on to the judgement that follows this one. */
  readonly claims: Claims;
  readonly quotas: Quotas;
};

/** Of thousands of discovered services one comes or goes at a time. */
const last = new WeakMap<Config, Judgement>();

function judgeAll(config: Config, discovered: readonly Discovered[]): Judgement {
  const services = new Map<string, Service>(config.services);
  const rejected: Rejected[] = [];
  const claims = new Claims(config);
  const quotas = new Quotas();
  for (const { discovery, service } of discovered.toSorted(byAge)) {
    const judged = judge(discovery, service, config);
    const reason =
      judged.kind === 'refused' ? judged.reason : (quotas.whyFull(discovery, service) ?? claims.add(judged.service));
    if (reason === null) quotas.count(discovery, service);
    if (reason !== null) rejected.push({ watcher: discovery.watcher, service: service.name, reason });
    else if (judged.kind === 'service') services.set(service.name, judged.service);
  }
  const served = { config: { ...config, services: SortedMap.of(services) }, rejected: rejected.sort(byName) };
  return { discovered, served, claims, quotas };
}

/**
 * Where all are served before and after, age decides nothing: only those that differ are judged. null: that is not so, and
 * `before` is of no more use.
 */
function follow(before: Judgement, config: Config, discovered: readonly Discovered[]): Judgement | null {
  const { served, claims, quotas } = before;
  const { services } = served.config;
  const difference = served.rejected.length === 0 ? differenceOfLists(before.discovered, discovered) : null;
  if (difference === null || !(services instanceof SortedMap)) return null;
  const edits = new Map<string, Service | undefined>();
  for (const { service, discovery } of difference.gone) {
    const judged = judge(discovery, service, config);
    if (judged.kind === 'refused') return null;
    quotas.count(discovery, service, -1);
    claims.remove(judged.service);
    edits.set(service.name, undefined);
  }
  for (const { service, discovery } of difference.come) {
    const judged = judge(discovery, service, config);
    if (judged.kind === 'refused' || quotas.whyFull(discovery, service) !== null) return null;
    if (claims.add(judged.service) !== null) return null;
    quotas.count(discovery, service);
    edits.set(judged.service.name, judged.service);
  }
  const followed = { config: { ...config, services: services.with(edits) }, rejected: [] };
  return { discovered, served: followed, claims, quotas };
}

/** How many services of each watcher, and of each owner there, are served. */
class Quotas {
  readonly #served = new Map<string, number>();

  whyFull({ watcher, limits }: Discovery, { owner }: DiscoveredService): string | null {
    const { maxServices, maxPerNamespace } = limits;
    if (this.#of(watcher) >= maxServices)
      return `${maxServices} older services are served (discover.${watcher}.maxServices)`;
    if (this.#of(`${watcher} ${owner}`) >= maxPerNamespace)
      return `${maxPerNamespace} older services of ${owner} are served (discover.${watcher}.maxPerNamespace)`;
    return null;
  }

  count({ watcher }: Discovery, { owner }: DiscoveredService, more = 1): void {
    for (const whose of [watcher, `${watcher} ${owner}`]) this.#served.set(whose, this.#of(whose) + more);
  }

  #of(whose: string): number {
    return this.#served.get(whose) ?? 0;
  }
}

/** The oldest first: of two services that claim the same, the older one has it. */
function byAge(a: Discovered, b: Discovered): number {
  return a.service.createdAt - b.service.createdAt || compare(labelOf(a), labelOf(b));
}

function labelOf({ discovery, service }: Discovered): string {
  return `${service.name} ${discovery.watcher} ${service.key}`;
}

function byName(a: Rejected, b: Rejected): number {
  return compare(`${a.service} ${a.watcher}`, `${b.service} ${b.watcher}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The number of problems of one service that are reported. */
const mostTold = 5;
/** The length of one problem: it may quote an option, which may be very long. */
const longestTold = 400;

type Judged =
  | { readonly kind: 'service'; readonly service: Service }
  | { readonly kind: 'refused'; readonly reason: string };

/** A service that did not change stays the same object, which need not be judged or rendered again. */
const judgedBefore = new WeakMap<Limits, WeakMap<DiscoveredService, Judged>>();

function judge(discovery: Discovery, service: DiscoveredService, config: Config): Judged {
  const { limits } = discovery;
  const known = judgedBefore.get(limits) ?? new WeakMap<DiscoveredService, Judged>();
  judgedBefore.set(limits, known);
  const before = known.get(service);
  if (before !== undefined) return before;
  const judged = interpret(discovery, service, config);
  known.set(service, judged);
  return judged;
}

function clip(problem: string): string {
  return problem.length > longestTold ? `${problem.slice(0, longestTold)}…` : problem;
}

const origins = new WeakMap<DiscoveredService, { readonly discovery: Discovery; readonly origin: Origin }>();

/** The query for its endpoints: it differs where another query found the service. One object for each service. */
export function originOfDiscovered({ discovery, service }: Discovered): Origin {
  const before = origins.get(service);
  if (before?.discovery === discovery) return before.origin;
  const { watcher, query } = discovery;
  const origin = { watcher, key: service.key, query };
  origins.set(service, { discovery, origin });
  return origin;
}

function interpret(discovery: Discovery, discovered: DiscoveredService, { frontends }: Config): Judged {
  const { limits } = discovery;
  const { name, options, createdAt } = discovered;
  const problems: string[] = [];
  if (!proxyName.safeParse(name).success) problems.push(`${JSON.stringify(name)} cannot be a name in HAProxy`);
  let settings: unknown = { ...limits.service, bind: undefined };
  let routes: readonly Route[] = [];
  for (const [option, text] of Object.entries(options)) {
    const read = readOption(option, text, discovery);
    if (typeof read === 'string') problems.push(`${option}: ${read}`);
    else if (read !== null) settings = replaceAt(settings, read.path, read.value);
  }
  // What routes may hold depends on the mode.
  if (options.routes !== undefined && problems.length === 0) {
    const { mode } = settings as Service;
    const read = readRoutes(options.routes, { name, mode }, limits, sharedFrontends(frontends));
    if (typeof read === 'string') problems.push(`routes: ${read}`);
    else routes = read;
  }
  if (problems.length > 0) {
    const more = problems.length - mostTold;
    const told = problems.sort().slice(0, mostTold).map(clip).join('; ');
    return { kind: 'refused', reason: more > 0 ? `${told}; and ${more} more` : told };
  }
  const origins = [originOfDiscovered({ discovery, service: discovered })];
  return { kind: 'service', service: { ...(settings as Service), name, origins, routes, createdAt } };
}
