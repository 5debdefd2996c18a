/** Endpoints of several services that keep changing in every way in which servers change; each service always has one that takes traffic. */

type Endpoint = {
  readonly id: string;
  readonly port: number;
  /** 0: it drains. */
  readonly weight: number;
};

/** What can become of the endpoints of a service. */
const kinds = ['add', 'remove', 'replace', 'weight', 'drain', 'address'] as const;
type Kind = (typeof kinds)[number];

const ids = ['a', 'b', 'c', 'd'] as const;

export class Churn {
  /** Of each service the ports on which somebody answers; more of them than it ever has endpoints. */
  readonly #ports: ReadonlyMap<string, readonly number[]>;
  readonly #endpoints: Map<string, readonly Endpoint[]>;
  readonly #made = new Map<Kind, number>();
  #changes = 0;

  constructor(ports: ReadonlyMap<string, readonly number[]>) {
    this.#ports = ports;
    this.#endpoints = new Map([...ports].map(([service, [port = 0]]) => [service, [{ id: ids[0], port, weight: 1 }]]));
  }

  /** How often each kind of change was made. */
  get made(): ReadonlyMap<string, number> {
    return this.#made;
  }

  /** Makes one change, to each service in turn. */
  change(): void {
    const services = [...this.#endpoints.keys()];
    const service = services[this.#changes % services.length] ?? '';
    this.#changes += 1;
    const possible = kinds.flatMap((kind) => this.#changed(service, kind) ?? []);
    const { kind, endpoints } = pick(possible);
    this.#made.set(kind, (this.#made.get(kind) ?? 0) + 1);
    this.#endpoints.set(service, endpoints);
  }

  /** For the file source. */
  get text(): string {
    const services = [...this.#endpoints].map(([service, endpoints]) => [
      service,
      endpoints.map(({ id, port, weight }) =>
        weight === 0
          ? { id, address: '127.0.0.1', port, state: 'draining' }
          : { id, address: '127.0.0.1', port, weight },
      ),
    ]);
    return JSON.stringify({ services: Object.fromEntries(services) });
  }

  /** `address:port weight` of each server, sorted, as `serversOf` reads them from a file. */
  servers(service: string): readonly string[] {
    return (this.#endpoints.get(service) ?? []).map(({ port, weight }) => `127.0.0.1:${port} ${weight}`).sort();
  }

  /** null where it is not possible now. */
  #changed(service: string, kind: Kind): { readonly kind: Kind; readonly endpoints: readonly Endpoint[] } | null {
    const endpoints = this.#endpoints.get(service) ?? [];
    const ready = endpoints.filter(({ weight }) => weight > 0);
    const freePorts = (this.#ports.get(service) ?? []).filter((port) => endpoints.every((each) => each.port !== port));
    const one = pick(endpoints);
    const isDispensable = ready.some(({ id }) => id !== one.id);
    const freeId = ids.find((name) => endpoints.every((each) => each.id !== name));
    const become = (changed: Partial<Endpoint>) => ({
      kind,
      endpoints: endpoints.map((each) => (each === one ? { ...each, ...changed } : each)),
    });
    switch (kind) {
      case 'add':
        if (freeId === undefined) return null;
        return { kind, endpoints: [...endpoints, { id: freeId, port: pick(freePorts), weight: 1 }] };
      case 'replace':
        // Also the only one: at no moment may there be nobody.
        return freeId === undefined ? null : become({ id: freeId, port: pick(freePorts), weight: 1 });
      case 'remove':
        return isDispensable ? { kind, endpoints: endpoints.filter((each) => each !== one) } : null;
      case 'weight':
        return become({ weight: (one.weight % 10) + 1 });
      case 'drain':
        return isDispensable && one.weight > 0 ? become({ weight: 0 }) : null;
      case 'address':
        return become({ port: pick(freePorts) });
    }
  }
}

function pick<T>(values: readonly T[]): T {
  const value = values[Math.floor(Math.random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to choose from');
  return value;
}
