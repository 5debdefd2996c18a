/** The maps of the shared frontends: a line for each route whose service has a backend in the file. */
import { mapFile } from '../config/paths.ts';
import { differByDiscovery, routesOf } from '../config/routes.ts';
import type { Config, Service } from '../config/schema.ts';
import type { Chunk, SortedMap } from '../lib/sorted-map.ts';
import type { MapOrigin, Section } from '../model.ts';

/** A service as it was rendered; null: of another config. */
type Part = {
  readonly service: Service | null;
  readonly frontend: readonly Section[];
  readonly backend: readonly Section[];
};

type Row = {
  readonly parts: SortedMap<Part>;
  /** What stands before the services and behind them. */
  readonly around: readonly Section[];
};

/** The services that backends of each name were rendered for, null for nobody's: of one name there may be several until HAProxy refuses them. */
type Owners = ReadonlyMap<string, readonly (string | null)[]>;

/** The lines of each map, of some services. */
type Lines = ReadonlyMap<string, string>;

export class Maps {
  #sections: readonly Section[] = [];
  #madeOf: { readonly config: Config; readonly absent: string } | null = null;
  /** By chunks of services. They hold as long as the same others have backends of their names. */
  #lines: { readonly others: string; readonly of: WeakMap<Chunk<Part>, Lines> } = { others: '', of: new WeakMap() };

  /** Sections with the same text stay the same objects. `sections`: the rest of the file. */
  render(config: Config, sections: readonly Section[]): readonly Section[] {
    const names = Object.keys(config.frontends);
    if (names.length === 0) return [];
    const { routes } = routesOf(config);
    const owners = ownersOf(sections);
    const absent = new Set<string>();
    for (const list of routes.values())
      for (const { service } of list) if (!isBackendOf(service, owners.get(service) ?? [], config)) absent.add(service);
    const key = [...absent].join('\n');
    if (this.#madeOf?.config === config && this.#madeOf.absent === key) return this.#sections;
    const textOf = (frontend: string): string =>
      (routes.get(frontend) ?? []).map(({ service, route }) => (absent.has(service) ? '' : route.line)).join('');
    this.#madeOf = { config, absent: key };
    return this.#keep(config, names, textOf);
  }

  /** The same where the services stand in the order of their names: only those that differ are looked at. */
  follow(config: Config, { parts, around }: Row, sections: readonly Section[]): readonly Section[] {
    const names = Object.keys(config.frontends);
    if (names.length === 0) return [];
    // Who has a route that several claim is a matter of all of them.
    if (routesOf(config).conflicts.length > 0) return this.render(config, sections);
    this.#madeOf = null;
    const others = [...around.filter(isOfAnother), ...parts.chunks.flatMap(othersIn)];
    const owners = ownersOf(others);
    const isListed = (name: string): boolean => config.services.get(name)?.createdAt === undefined;
    const key = JSON.stringify([...owners].map(([name, its]) => [name, its, isListed(name)]));
    if (this.#lines.others !== key) this.#lines = { others: key, of: new WeakMap() };
    const { of: known } = this.#lines;
    const lines = parts.chunks.map((chunk) => {
      const its = known.get(chunk) ?? linesOf(chunk, config, owners);
      known.set(chunk, its);
      return its;
    });
    return this.#keep(config, names, (frontend) => lines.map((its) => its.get(frontend) ?? '').join(''));
  }

  #keep(config: Config, frontends: readonly string[], textOf: (frontend: string) => string): readonly Section[] {
    const before = new Map(this.#sections.map((section) => [section.name, section]));
    this.#sections = frontends.map((frontend) => {
      const [name, text] = [mapFile(config, frontend), textOf(frontend)];
      const old = before.get(name);
      const origin = new Origin(config, frontend);
      return old?.text === text ? old : { kind: 'map', name, text, service: null, origin };
    });
    return this.#sections;
  }
}

function linesOf({ values }: Chunk<Part>, config: Config, others: Owners): Lines {
  const lines = new Map<string, string[]>();
  for (const { service, frontend: first, backend } of values) {
    if (service === null || service.routes.length === 0) continue;
    const { name } = service;
    const hasOwn = [first, backend].some((its) => its.some((each) => isBackend(each) && each.name === name));
    const owners = [...(hasOwn ? [name] : []), ...(others.get(name) ?? [])];
    if (!isBackendOf(name, owners, config)) continue;
    for (const { frontend, line } of service.routes) {
      const its = lines.get(frontend);
      if (its === undefined) lines.set(frontend, [line]);
      else its.push(line);
    }
  }
  return new Map([...lines].map(([frontend, its]) => [frontend, its.join('')]));
}

const knownOthers = new WeakMap<Chunk<Part>, readonly Section[]>();

/** The backends of services that have the names of others. */
function othersIn(chunk: Chunk<Part>): readonly Section[] {
  let its = knownOthers.get(chunk);
  if (its === undefined) {
    its = chunk.values.flatMap(({ frontend, backend }) => [...frontend, ...backend].filter(isOfAnother));
    knownOthers.set(chunk, its);
  }
  return its;
}

function isOfAnother(section: Section): boolean {
  return isBackend(section) && section.name !== section.service;
}

/** Whoever registers a service must not get to another backend, such as a hand-written one, by giving it its name. */
function isBackendOf(name: string, [owner, ...others]: readonly (string | null)[], { services }: Config): boolean {
  const isListed = services.get(name)?.createdAt === undefined;
  return owner !== undefined && others.length === 0 && (owner === name || isListed);
}

function ownersOf(sections: readonly Section[]): Owners {
  const owners = new Map<string, readonly (string | null)[]>();
  for (const section of sections) {
    if (!isBackend(section)) continue;
    const { name, service } = section;
    const before = owners.get(name);
    if (before === undefined) owners.set(name, [service]);
    else if (!before.includes(service)) owners.set(name, [...before, service]);
  }
  return owners;
}

function isBackend({ kind }: Section): boolean {
  return kind === 'backend' || kind === 'listen';
}

/** The config that the entries come from. */
class Origin implements MapOrigin {
  readonly #config: Config;
  readonly #frontend: string;

  constructor(config: Config, frontend: string) {
    this.#config = config;
    this.#frontend = frontend;
  }

  discoveredSince(before: MapOrigin): ((key: string) => boolean) | null {
    if (!(before instanceof Origin && differByDiscovery(before.#config, this.#config))) return null;
    const [was, is] = [before.#discovered(), this.#discovered()];
    return (key) => is.get(key) ?? was.get(key) ?? false;
  }

  /** By key, whether the service that has the route was discovered. */
  #discovered(): ReadonlyMap<string, boolean> {
    const { services } = this.#config;
    const held = routesOf(this.#config).routes.get(this.#frontend) ?? [];
    return new Map(held.map(({ service, route }) => [route.key, services.get(service)?.createdAt !== undefined]));
  }
}
