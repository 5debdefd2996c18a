/**
 * Decides which service holds a route that several services claim: a service that the config lists comes first, then
 * the older service, then the one whose name sorts first. So every replica decides the same, in whatever order the
 * services came.
 */
import type { Route } from './route.ts';

export type Claimant = {
  readonly service: string;
  /** When the service was created at its source; null: the config lists it. */
  readonly createdAt: number | null;
  readonly routes: readonly Route[];
};

/** A route that is not served, because another service holds it. */
export type RouteConflict = {
  readonly service: string;
  readonly frontend: string;
  /** As the service writes it. */
  readonly route: string;
  /** The service that holds the route. */
  readonly holder: string;
};

export type RouteTable = {
  /** By frontend, in the order of the claimants. */
  readonly routes: ReadonlyMap<string, readonly HeldRoute[]>;
  readonly conflicts: readonly RouteConflict[];
};

type HeldRoute = { readonly service: string; readonly route: Route };

/** Who has which route, kept while services come and go. */
export class Routes {
  /** Of each frontend; null: some are claimed by several services, so that all claims have to be looked at again. */
  readonly #keys: ReadonlyMap<string, Set<string>> | null;
  /** Of the claimants that this was made of. */
  #whole: RouteTable | null;

  constructor(claimants: Iterable<Claimant>) {
    this.#whole = routeTable(claimants);
    const isContested = this.#whole.conflicts.length > 0;
    const keysOf = (held: readonly HeldRoute[]): Set<string> => new Set(held.map(({ route: { key } }) => key));
    this.#keys = isContested ? null : new Map([...this.#whole.routes].map(([name, held]) => [name, keysOf(held)]));
  }

  /** Returns false where it has to be decided again who has what: then this is of no more use. */
  follow({ gone, come }: { readonly gone: readonly Claimant[]; readonly come: readonly Claimant[] }): boolean {
    const keys = this.#keys;
    if (keys === null) return false;
    this.#whole = null;
    for (const { frontend, key } of gone.flatMap(({ routes }) => routes)) keys.get(frontend)?.delete(key);
    for (const { frontend, key } of come.flatMap(({ routes }) => routes)) {
      const its = keys.get(frontend);
      if (its === undefined || its.has(key)) return false;
      its.add(key);
    }
    return true;
  }

  /** `claimants`: all that there are now; asked for where somebody reads the routes. */
  table(claimants: () => Iterable<Claimant>): RouteTable {
    if (this.#whole !== null) return this.#whole;
    let known: RouteTable['routes'] | null = null;
    return {
      get routes() {
        known ??= allRoutes(claimants());
        return known;
      },
      conflicts: none,
    };
  }
}

/** Where no two claim the same. */
function allRoutes(claimants: Iterable<Claimant>): RouteTable['routes'] {
  const routes = new Map<string, HeldRoute[]>();
  for (const { service, routes: its } of claimants)
    for (const route of its) {
      const list = routes.get(route.frontend);
      if (list === undefined) routes.set(route.frontend, [{ service, route }]);
      else list.push({ service, route });
    }
  return routes;
}

const none: readonly RouteConflict[] = [];

export function routeTable(claimants: Iterable<Claimant>): RouteTable {
  const holders = new Map<string, Map<string, Claim>>();
  const contested: Claim[] = [];
  const all: Claim[] = [];
  for (const claimant of claimants)
    for (const route of claimant.routes) {
      const claim = { claimant, route };
      all.push(claim);
      const keys = holders.get(route.frontend) ?? new Map<string, Claim>();
      holders.set(route.frontend, keys);
      const before = keys.get(route.key);
      if (before !== undefined) contested.push(before, claim);
      if (before === undefined || goesFirst(claimant, before.claimant)) keys.set(route.key, claim);
    }
  const holderOf = ({ route: { frontend, key } }: Claim): Claim | undefined => holders.get(frontend)?.get(key);
  const routes = new Map<string, HeldRoute[]>();
  for (const claim of all) {
    if (holderOf(claim) !== claim) continue;
    const { claimant, route } = claim;
    const list = routes.get(route.frontend) ?? [];
    if (list.push({ service: claimant.service, route }) === 1) routes.set(route.frontend, list);
  }
  const conflicts = [...new Set(contested)].flatMap((claim): readonly RouteConflict[] => {
    const holder = holderOf(claim);
    if (holder === undefined || holder === claim) return [];
    const { claimant, route } = claim;
    const { service } = claimant;
    return [{ service, frontend: route.frontend, route: route.label, holder: holder.claimant.service }];
  });
  return { routes, conflicts: conflicts.sort(byNames) };
}

type Claim = { readonly claimant: Claimant; readonly route: Route };

function goesFirst(a: Claimant, b: Claimant): boolean {
  const age = (a.createdAt ?? Number.NEGATIVE_INFINITY) - (b.createdAt ?? Number.NEGATIVE_INFINITY);
  return Number.isNaN(age) || age === 0 ? a.service < b.service : age < 0;
}

function byNames(a: RouteConflict, b: RouteConflict): number {
  const [one, other] = [a, b].map(({ service, frontend, route }) => `${service} ${frontend} ${route}`);
  return one === other ? 0 : (one ?? '') < (other ?? '') ? -1 : 1;
}
