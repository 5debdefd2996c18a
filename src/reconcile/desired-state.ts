/**
 * What should run now: what the catalog knows, rendered. A service of which nothing is known keeps the sections that run,
 * or that the file had at the start.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import { type View, view } from '../catalog/catalog.ts';
import { frontendName } from '../haproxy/text/names.ts';
import { serverLines } from '../haproxy/text/text.ts';
import type { Section } from '../model.ts';
import { assertPrintsServers } from '../render/printed-servers.ts';
import type { RenderInput, RenderResult } from '../render/render.ts';
import { type Editions, takesOver } from '../settings/editions.ts';
import { presumedVersion, type Settings } from '../settings/settings.ts';
import { withoutOverrides } from './overrides/overrides.ts';

type Sections = readonly Section[];

type DesiredStateOptions = {
  readonly editions: Editions;
  readonly driver: Pick<ManagedDriver, 'version' | 'running' | 'found'>;
  /** What was desired and went live last. */
  readonly live: () => Sections;
  readonly hostname: string;
};

export class DesiredState {
  readonly #options: DesiredStateOptions;
  /** What ran, or stood in the file, at the start; null: there was none. */
  readonly #found: Sections | null;
  readonly #foundOf: ReadonlyMap<string, Sections>;

  constructor(options: DesiredStateOptions) {
    this.#options = options;
    // As it was written down: what is read back may be what somebody made of it.
    const found = options.driver.running?.sections ?? options.driver.found;
    this.#found = found === null ? null : withoutOverrides(found);
    this.#foundOf = byService(this.#found ?? []);
  }

  /** Nobody is known to serve anything, and a source that is required has not said so. */
  get isBlind(): boolean {
    const { isBlind: lacksAnswers, unknown } = view(this.#options.editions.collection.catalog);
    const serves = (section: Section): boolean => serverLines(section).length > 0;
    return lacksAnswers && ![...this.#retained(unknown).values()].some((sections) => sections.some(serves));
  }

  /** The required sources without whose answer there is nothing to render; empty: there is something. */
  get waitingFor(): readonly string[] {
    const { open, waitingFor } = view(this.#options.editions.collection.catalog);
    return open || this.#found !== null ? [] : waitingFor;
  }

  /** Until every required source has answered, what was found at the start serves; null: there is nothing yet. */
  render(): RenderResult | null {
    const { collection, settings } = this.#options.editions;
    const { open, endpoints, unknown } = view(collection.catalog);
    if (!open) return this.#found === null ? null : { sections: this.#found, problems: [] };
    return this.#renderBy(settings, { config: collection.config, endpoints, kept: this.#retained(unknown) });
  }

  /** Throws an AppError where the templates fail in no service's name: they would at every change, and hold up them all. */
  assertRenders(settings: Settings): void {
    this.#renderBy(settings, { config: settings.config, endpoints: new Map() });
  }

  /** Throws an AppError where the templates print no server any more of those that are known, or nowhere to listen. */
  assertPrintsServers(settings: Settings): void {
    const { config, catalog } = this.#options.editions.newest;
    const { endpoints } = view(catalog);
    const services = new Map([...config.services].filter(([name]) => (endpoints.get(name)?.length ?? 0) > 0));
    if (services.size === 0) return;
    const rendered = this.#renderBy(settings, { config: { ...config, services }, endpoints });
    assertPrintsServers(this.#options.live(), rendered, [...services.values()]);
  }

  #renderBy({ renderer }: Settings, input: Omit<RenderInput, 'version' | 'hostname'>): RenderResult {
    const { driver, hostname } = this.#options;
    return renderer.render({ ...input, version: driver.version ?? presumedVersion(input.config), hostname });
  }

  /** What runs of these services, or ran at the start: what is not known of them stays with that. */
  #retained(unknown: View['unknown']): ReadonlyMap<string, Sections> {
    if (unknown.size === 0) return new Map();
    const live = byService(this.#options.live());
    return new Map(
      [...unknown].flatMap(([name, basis]) => {
        // What this Myelin rendered itself, without servers, is rendered again: there are no unknown servers in it.
        const isFound = basis === 'moved' || this.#foundOf.has(name);
        const its = isFound ? (live.get(name) ?? this.#foundOf.get(name)) : undefined;
        const sections = its ?? this.#inItsPlace(name, live);
        return sections.length === 0 ? [] : [[name, sections] as const];
      }),
    );
  }

  /** Of services that are desired no more, at whose addresses this one is to listen: given up, they would be nobody's. */
  #inItsPlace(name: string, live: ReadonlyMap<string, Sections>): Sections {
    const { services } = this.#options.editions.collection.config;
    const service = services.get(name);
    const gone = [...live].flatMap(([other, sections]) => (services.has(other) ? [] : [sections]));
    return service === undefined ? [] : gone.filter((sections) => takesOver(service, sections)).flat();
  }
}

/** The sections of each service. Where nobody wrote down whose they are, their names tell. */
function byService(sections: Sections): ReadonlyMap<string, Sections> {
  const isOwned = sections.some(({ service }) => service !== null);
  const owned = isOwned ? sections : sections.map((section) => ({ ...section, service: usualOwner(section) }));
  const of = Map.groupBy(owned, ({ service }) => service);
  of.delete(null);
  return of as ReadonlyMap<string, Sections>;
}

/** As a service's sections are usually called. */
function usualOwner({ kind, name }: Section): string | null {
  if (kind === 'backend') return name;
  const service = name.replace(/:in$/, '');
  return kind === 'frontend' && frontendName(service) === name ? service : null;
}
