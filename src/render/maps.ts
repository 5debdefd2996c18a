/** The maps of the shared frontends: a line for each route whose service has a backend in the file. */
import { mapFile } from '../config/paths.ts';
import { routesOf } from '../config/routes.ts';
import type { Config } from '../config/schema.ts';
import type { Section } from '../model.ts';

export class Maps {
  #sections: readonly Section[] = [];
  #madeOf: { readonly config: Config; readonly absent: string } | null = null;

  /** Sections with the same text stay the same objects. `sections`: the rest of the file. */
  render(config: Config, sections: readonly Section[]): readonly Section[] {
    const names = Object.keys(config.frontends);
    if (names.length === 0) return [];
    const { routes } = routesOf(config);
    const isListed = (name: string): boolean => config.services.get(name)?.createdAt === undefined;
    const owners = ownersOf(sections);
    // Whoever registers a service must not get to another backend, such as a hand-written one, by giving it its name.
    const isBackendOf = (name: string): boolean => {
      const [owner, ...others] = owners.get(name) ?? [];
      return owner !== undefined && others.length === 0 && (owner === name || isListed(name));
    };
    const absent = new Set<string>();
    for (const list of routes.values()) for (const { service } of list) if (!isBackendOf(service)) absent.add(service);
    const key = [...absent].join('\n');
    if (this.#madeOf?.config === config && this.#madeOf.absent === key) return this.#sections;
    const before = new Map(this.#sections.map((section) => [section.name, section]));
    this.#sections = names.map((frontend) => {
      const name = mapFile(config, frontend);
      const held = (routes.get(frontend) ?? []).filter(({ service }) => !absent.has(service));
      const text = held.map(({ route }) => route.line).join('');
      const old = before.get(name);
      return old?.text === text ? old : { kind: 'map', name, text, service: null };
    });
    this.#madeOf = { config, absent: key };
    return this.#sections;
  }
}

/** The services that backends of each name were rendered for, null for nobody's: of one name there may be several until HAProxy refuses them. */
function ownersOf(sections: readonly Section[]): ReadonlyMap<string, readonly (string | null)[]> {
  const owners = new Map<string, readonly (string | null)[]>();
  for (const { kind, name, service } of sections) {
    if (kind !== 'backend' && kind !== 'listen') continue;
    const before = owners.get(name);
    if (before === undefined) owners.set(name, [service]);
    else if (!before.includes(service)) owners.set(name, [...before, service]);
  }
  return owners;
}
