/** Which service has which name and address: a listed service comes first, then the service that claims it first. */
import { frontendName } from '../../haproxy/text/names.ts';
import { namedSectionsIn } from '../names.ts';
import { formatPath } from '../problems.ts';
import type { Config, Service } from '../schema.ts';
import { Held, judgeless, type Listener, listenersOf } from './check-binds.ts';

export class Claims {
  readonly #names = new Map<string, string>();
  readonly #held = new Held();

  constructor({ services, frontends, haproxy, admin, probes, namesInTemplates = [] }: Config) {
    for (const name of Object.keys(frontends)) this.#names.set(name, 'a shared frontend');
    for (const name of services.keys())
      this.#names.set(name, 'a service of the config').set(frontendName(name), 'a service of the config');
    for (const text of haproxy.sections)
      for (const { name } of namedSectionsIn(text)) this.#names.set(name, 'a hand-written section');
    for (const name of namesInTemplates) this.#names.set(name, 'a section of the templates');
    for (const listener of listenersOf({ rest: { frontends, haproxy, admin, probes }, services }, judgeless))
      this.#held.add(listener);
  }

  /** Why the service cannot be served; null: it has everything that it claims from now on. */
  add(service: Service): string | null {
    const { name } = service;
    for (const one of [name, frontendName(name)]) {
      const owner = this.#names.get(one);
      if (owner !== undefined) return `the name ${one} is taken: ${owner}`;
    }
    const listeners = listenersIn(service);
    for (const listener of listeners) {
      const holder = this.#held.holderOf(listener);
      if (holder !== undefined) return `${listener.text} is taken by ${describe(holder)}`;
    }
    this.#names.set(name, 'an older service').set(frontendName(name), 'an older service');
    for (const listener of listeners) this.#held.add(listener);
    return null;
  }

  /** A service that was added claims nothing any more. */
  remove(service: Service): void {
    for (const one of [service.name, frontendName(service.name)]) this.#names.delete(one);
    for (const listener of listenersIn(service)) this.#held.remove(listener);
  }
}

/** The listeners of a service; of thousands hardly any has one. */
function listenersIn(service: Service): readonly Listener[] {
  const { name, bind = [], frontend } = service;
  if (bind.length === 0 && frontend.length === 0) return [];
  return listenersOf({ rest: {}, services: new Map([[name, service]]) }, judgeless);
}

function describe({ path, text }: Listener): string {
  return path[0] === 'services' ? `the service ${path[1]}` : `${text} of ${formatPath(path)}`;
}
