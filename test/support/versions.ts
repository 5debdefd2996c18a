/**
 * A Myelin whose config comes in versions that their answers tell apart. Each has a server of its own and another line
 * in its frontend, so that it takes a reload whatever else could be done without one.
 */
import timers from 'node:timers/promises';
import { selfSignedPem } from '../../src/certificates/self-signed.ts';
import type { Ms } from '../../src/model.ts';
import { type Backend, startBackends } from '../servers/backend.ts';
import { ask } from '../servers/steady.ts';
import { isApplied } from './applied.ts';
import { freePort, until } from './index.ts';
import { builtInTemplate } from './load/controls.ts';
import { type MyelinProcess, type Workplace, workplace } from './sites/myelin.ts';

/** Versions take turns with them: those of any few changes in a row are told apart. */
const backendNames = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven'] as const;

export type VersionsOptions = {
  /** Lines of YAML below `reload`. */
  readonly reload?: readonly string[];
  /** Hand-written sections. */
  readonly sections?: readonly string[];
  /** Of the built-in `frontend` template, makes the one that is used. */
  readonly frontend?: (template: string) => string;
};

export class Versions implements AsyncDisposable {
  readonly place: Workplace;
  readonly myelin: MyelinProcess;
  /** Where the service is served, with and without TLS (HTTP/2 by ALPN). */
  readonly port: number;
  readonly tlsPort: number;
  readonly #backends: readonly Backend[];
  readonly #atEnd: AsyncDisposableStack;
  #version = 0;

  constructor(
    { place, myelin, port, tlsPort }: Pick<Versions, 'place' | 'myelin' | 'port' | 'tlsPort'>,
    backends: readonly Backend[],
    atEnd: AsyncDisposableStack,
  ) {
    this.place = place;
    this.myelin = myelin;
    this.port = port;
    this.tlsPort = tlsPort;
    this.#backends = backends;
    this.#atEnd = atEnd;
  }

  /** The next version stands in the source's file, whenever it goes live. Its server's name. */
  async publish(): Promise<string> {
    this.#version += 1;
    const { name, line } = endpoint(this.#backends, this.#version);
    await this.place.write('services.yaml', line);
    return name;
  }

  /** Publishes the next version and waits until it answers. */
  async change(): Promise<void> {
    await this.answers(await this.publish());
  }

  async answers(name: string, withinMs: Ms = 30_000): Promise<void> {
    await until(`${name} answers`, async () => (await ask(this.port)) === name, { withinMs });
  }

  /** How many requests each server has got. */
  async answered(): Promise<ReadonlyMap<string, number>> {
    return new Map(await Promise.all(this.#backends.map(async (each) => [each.name, await each.answered()] as const)));
  }

  /** Changes every `everyMs`, each once the one before it answers, until disposed. */
  keepChanging(everyMs: Ms): Changes {
    return new Changes(() => this.change(), everyMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#atEnd.disposeAsync();
  }
}

export class Changes implements AsyncDisposable {
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  #count = 0;
  #error: unknown = null;

  constructor(change: () => Promise<void>, everyMs: Ms) {
    this.#running = this.#run(change, everyMs).catch((error: unknown) => {
      this.#error = error;
    });
  }

  /** Runs `load`, again where need be, until at least `changes` went live meanwhile. */
  async during<T>(changes: number, load: () => Promise<T>): Promise<readonly T[]> {
    const before = this.#count;
    const loads: T[] = [];
    do {
      loads.push(await load());
      if (this.#error !== null) throw this.#error;
    } while (this.#count - before < changes);
    return loads;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(change: () => Promise<void>, everyMs: Ms): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const gap = timers.setTimeout(everyMs, undefined, { signal }).catch(() => {});
      await change();
      this.#count += 1;
      await gap;
    }
  }
}

/** Serves its first version. */
export async function versions(options: VersionsOptions = {}): Promise<Versions> {
  const { reload = [], sections = [], frontend = (template) => template } = options;
  await using stack = new AsyncDisposableStack();
  const backends = stack.use(await startBackends(backendNames));
  const all = backendNames.map((name) => backends[name]);
  const [port, tlsPort] = [await freePort(), await freePort()];
  const place = stack.use(await workplace(configOf(port, tlsPort, reload, sections)));
  await place.write('cert.pem', selfSignedPem(new Date()));
  const template = builtInTemplate('frontend');
  const versioned = '{{#each servers}}    http-response set-header x-version {{logFormat meta.version}}\n{{/each}}';
  await place.write('templates/frontend.hbs', `${frontend(template).trimEnd()}\n${versioned}\n`);
  const first = endpoint(all, 0);
  await place.write('services.yaml', first.line);
  const myelin = place.run();
  const made = new Versions({ place, myelin, port, tlsPort }, all, stack.move());
  await myelin.until('the first version is served', ({ stateReasons }) => isApplied(stateReasons));
  await made.answers(first.name);
  return made;
}

function configOf(port: number, tlsPort: number, reload: readonly string[], sections: readonly string[]): string {
  return [
    'watchers: { file: { path: services.yaml } }',
    'services:',
    '  web:',
    `    bind: ["127.0.0.1:${port}", "127.0.0.1:${tlsPort} ssl crt cert.pem alpn h2,http/1.1"]`,
    'templates: templates',
    `haproxy: { log: none, sections: ${JSON.stringify(sections)} }`,
    'probes: { listen: "off" }',
    ...(reload.length === 0 ? [] : ['reload:', ...reload.map((line) => `  ${line}`)]),
    '',
  ].join('\n');
}

function endpoint(backends: readonly Backend[], version: number): { readonly name: string; readonly line: string } {
  const { name, port } = backends[version % backends.length] as Backend;
  const one = { id: name, address: '127.0.0.1', port, meta: { version: `${version}` } };
  return { name, line: `services: { web: [${JSON.stringify(one)}] }\n` };
}
