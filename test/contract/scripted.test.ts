/** The contracts with a source in memory: shows what a pushed source needs, and that the suites ask for nothing more. */
import type { DiscoveredService, Endpoint, Watch } from '../../src/model.ts';
import { boundedOptions } from '../../watchers/kit/service-options.ts';
import { watching } from '../../watchers/kit/watching.ts';
import {
  type DiscoverySubject,
  discoversByTheContract,
  holdsTheContract,
  type Subject,
} from '../../watchers/public/contract.ts';

class Source {
  readonly #services = new Map<string, readonly string[]>();
  readonly #listeners = new Set<() => void>();
  #isDown = false;

  put(service: string, addresses: readonly string[]): void {
    this.#services.set(service, addresses);
    this.#tell();
  }

  setDown(isDown: boolean): void {
    this.#isDown = isDown;
    this.#tell();
  }

  /** Says nobody to the first who asks after being told. */
  flicker(service: string): void {
    const addresses = this.read(service);
    this.put(service, []);
    this.put(service, addresses);
  }

  read(service: string): readonly string[] {
    if (this.#isDown) throw new Error('the source is down');
    return this.#services.get(service) ?? [];
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function watchSource(source: Source): Watch<string> {
  return watching(async ({ queries, signal, emit, fail }) => {
    const look = (): void => {
      try {
        for (const { key, settings } of queries) {
          const first = source.read(settings);
          if (first.length > 0) emit({ kind: 'endpoints', key, endpoints: first.map(endpoint) });
          else queueMicrotask(() => confirmEmpty(key, settings));
        }
      } catch (error) {
        fail(error);
      }
    };
    const confirmEmpty = (key: string, service: string): void => {
      if (source.read(service).length === 0) emit({ kind: 'endpoints', key, endpoints: [] });
    };
    source.onChange(look, signal);
    look();
  });
}

function endpoint(text: string): Endpoint {
  const [address = '', port] = text.split(':');
  return { id: text, address, port: Number(port), weight: 1, state: 'ready' };
}

holdsTheContract(
  'a source in memory',
  async (): Promise<Subject> => {
    const source = new Source();
    return {
      watch: watchSource(source) as Watch,
      settings: (service) => service,
      put: async (service, addresses) => source.put(service, addresses),
      fail: async () => source.setDown(true),
      mend: async () => source.setDown(false),
      flicker: async (service) => source.flicker(service),
      [Symbol.asyncDispose]: async () => {},
    };
  },
  { failsBy: 'throwing' },
);

/** Tells of every service that it has, each with its options. */
class DiscoveringSource {
  readonly source = new Source();
  readonly #services = new Map<string, DiscoveredService>();
  #count = 0;

  offer(name: string, options: Readonly<Record<string, string>>, addresses: readonly string[]): void {
    const createdAt = this.#services.get(name)?.createdAt ?? ++this.#count;
    this.#services.set(name, {
      key: `*${name}`,
      name,
      owner: 'default',
      createdAt,
      options: boundedOptions(new Map(Object.entries(options))),
    });
    this.source.put(name, addresses);
  }

  withdraw(name: string): void {
    this.#services.delete(name);
    this.source.put(name, []);
  }

  watch(): Watch {
    return watching(async ({ queries, signal, emit, fail }) => {
      const look = (): void => {
        try {
          const services = [...this.#services.values()];
          const endpoints = services.map(({ key, name }) => ({ key, endpoints: this.source.read(name).map(endpoint) }));
          for (const { key } of queries) {
            this.source.read('');
            emit({ kind: 'discovered', key, services });
          }
          for (const one of endpoints) emit({ kind: 'endpoints', ...one });
        } catch (error) {
          fail(error);
        }
      };
      this.source.onChange(look, signal);
      look();
    });
  }
}

async function makeDiscoverySubject(): Promise<DiscoverySubject> {
  const discovering = new DiscoveringSource();
  return {
    watch: discovering.watch(),
    query: {},
    nameOf: (service) => service,
    offer: async (service, options, addresses) => discovering.offer(service, options, addresses),
    withdraw: async (service) => discovering.withdraw(service),
    fail: async () => discovering.source.setDown(true),
    mend: async () => discovering.source.setDown(false),
    [Symbol.asyncDispose]: async () => {},
  };
}

discoversByTheContract('a source in memory', makeDiscoverySubject, { failsBy: 'throwing' });
