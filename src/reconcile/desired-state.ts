/**
 * Renders what should run now from the catalog. A service whose endpoints are unknown keeps the sections that run, or that the
 * file had at the start.
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
  /** The desired sections that went live last. */
  readonly live: () => Sections;
  readonly hostname: string;
  readonly certificates: { of(config: RenderInput['config']): Pick<RenderInput, 'certificates' | 'caFiles'> };
};

export class DesiredState {
  readonly #options: DesiredStateOptions;
  /** The sections that ran, or were in the file, at the start; null: there were none. */
  readonly #found: Sections | null;
  readonly #foundOf: ReadonlyMap<string, Sections>;

  constructor(options: DesiredStateOptions) {
    this.#options = options;
    // Taken before anything is read back, since `running` may then hold drift; and without overrides, as it was rendered.
    const found = options.driver.running?.sections ?? options.driver.found;
    this.#found = found === null ? null : withoutOverrides(found);
    this.#foundOf = byService(this.#found ?? []);
  }

  /** No service has known servers, and a required source has not answered yet. */
  get isBlind(): boolean {
    const { isBlind: lacksAnswers, unknown } = view(this.#options.editions.collection.catalog);
    const serves = (section: Section): boolean => serverLines(section).length > 0;
    return lacksAnswers && ![...this.#retained(unknown).values()].some((sections) => sections.some(serves));
  }

  /** The required sources that rendering waits for; empty: it waits for none. */
  get waitingFor(): readonly string[] {
    const { open, waitingFor } = view(this.#options.editions.collection.catalog);
    return open || this.#found !== null ? [] : waitingFor;
  }

  /** Returns what was found at the start until every required source has answered; null: nothing was found. */
  render(): RenderResult | null {
    const { collection, settings } = this.#options.editions;
    const { open, endpoints, unknown } = view(collection.catalog);
    if (!open) return this.#found === null ? null : { sections: this.#found, problems: [] };
    return this.#renderBy(settings, { config: collection.config, endpoints, kept: this.#retained(unknown) });
  }

  /** Throws an AppError where a template fails that belongs to no service: it would fail at every change of any service. */
  assertRenders(settings: Settings): void {
    this.#renderBy(settings, { config: settings.config, endpoints: new Map() });
  }

  /** Throws an AppError where new templates print none of the known servers, or no address to listen at. */
  assertPrintsServers(settings: Settings): void {
    const { config, catalog } = this.#options.editions.newest;
    const { endpoints } = view(catalog);
    const services = new Map([...config.services].filter(([name]) => (endpoints.get(name)?.length ?? 0) > 0));
    if (services.size === 0) return;
    const rendered = this.#renderBy(settings, { config: { ...config, services }, endpoints });
    assertPrintsServers(this.#options.live(), rendered, [...services.values()]);
  }

  #renderBy(
    { renderer }: Settings,
    input: Omit<RenderInput, 'certificates' | 'caFiles' | 'version' | 'hostname'>,
  ): RenderResult {
    const { driver, hostname, certificates } = this.#options;
    const version = driver.version ?? presumedVersion(input.config);
    return renderer.render({ ...input, ...certificates.of(input.config), version, hostname });
  }

  /** The sections of these services that run, or ran at the start: they stay while the endpoints are unknown. */
  #retained(unknown: View['unknown']): ReadonlyMap<string, Sections> {
    if (unknown.size === 0) return new Map();
    const live = byService(this.#options.live());
    return new Map(
      [...unknown].flatMap(([name, basis]) => {
        // Sections that this Myelin rendered itself hold no unknown servers, so they are rendered again.
        const isFound = basis === 'moved' || this.#foundOf.has(name);
        const its = isFound ? (live.get(name) ?? this.#foundOf.get(name)) : undefined;
        const sections = its ?? this.#inItsPlace(name, live);
        return sections.length === 0 ? [] : [[name, sections] as const];
      }),
    );
  }

  /** The sections of removed services at whose addresses this one will listen: until then those keep the addresses open. */
  #inItsPlace(name: string, live: ReadonlyMap<string, Sections>): Sections {
    const { services } = this.#options.editions.collection.config;
    const service = services.get(name);
    const gone = [...live].flatMap(([other, sections]) => (services.has(other) ? [] : [sections]));
    return service === undefined ? [] : gone.filter((sections) => takesOver(service, sections)).flat();
  }
}

/** The sections of each service. Where none of them names its service, the names of the sections do. */
function byService(sections: Sections): ReadonlyMap<string, Sections> {
  const isOwned = sections.some(({ service }) => service !== null);
  const owned = isOwned ? sections : sections.map((section) => ({ ...section, service: usualOwner(section) }));
  const of = Map.groupBy(owned, ({ service }) => service);
  of.delete(null);
  return of as ReadonlyMap<string, Sections>;
}

/** The service that a section of this name usually belongs to. */
function usualOwner({ kind, name }: Section): string | null {
  if (kind === 'backend') return name;
  const service = name.replace(/:in$/, '');
  return kind === 'frontend' && frontendName(service) === name ? service : null;
}
