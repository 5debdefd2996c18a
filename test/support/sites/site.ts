/** A workplace whose service `web` is found in a file, with backends that answer with their names: what trouble is made for. */
import { type Backend, startBackends } from '../../servers/backend.ts';
import { type SteadyLoad, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../applied.ts';
import { freePort, until } from '../index.ts';
import { type MyelinProcess, type Workplace, workplace } from './myelin.ts';

const backendNames = ['alpha', 'beta', 'gamma'] as const;
type Name = (typeof backendNames)[number];

/** What `myelin.yaml` holds beside the file source and the service `web`. */
export type SiteConfig = {
  /** Lines of YAML below `web`, `haproxy` and `reload`. */
  readonly web?: readonly string[];
  readonly services?: readonly string[];
  readonly haproxy?: readonly string[];
  readonly reload?: readonly string[];
  readonly rest?: readonly string[];
  /** Where the probes listen; nowhere by default. */
  readonly probes?: string;
};

export class Site implements AsyncDisposable {
  readonly place: Workplace;
  /** Where `web` is served. */
  readonly port: number;
  readonly backends: { readonly [N in Name]: Backend };
  readonly #atEnd: AsyncDisposableStack;
  #config: SiteConfig = {};
  #structures = 0;

  constructor(place: Workplace, port: number, backends: Site['backends'], atEnd: AsyncDisposableStack) {
    this.place = place;
    this.port = port;
    this.backends = backends;
    this.#atEnd = atEnd;
  }

  /** Replaces `myelin.yaml`. */
  async configure(config: SiteConfig = {}): Promise<void> {
    this.#config = config;
    const { web = [], services = [], haproxy = [], reload = ['minInterval: 0ms'], probes = 'off', rest = [] } = config;
    const below = (lines: readonly string[], depth: number): string[] => lines.map((line) => ' '.repeat(depth) + line);
    const lines = [
      'watchers: { file: { path: services.yaml } }',
      'services:',
      '  web:',
      `    bind: "127.0.0.1:${this.port}"`,
      ...below(web, 4),
      ...below(services, 2),
      'haproxy:',
      '  log: none',
      ...below(haproxy, 2),
      'reload:',
      ...below(reload, 2),
      `probes: { listen: "${probes}" }`,
      ...rest,
    ];
    await this.place.write('myelin.yaml', `${lines.join('\n')}\n`);
  }

  /** Changes what only a reload can change, and nothing that a client would see. */
  async restructure(): Promise<void> {
    const config = this.#config;
    this.#structures += 1;
    await this.configure({ ...config, web: [...(config.web ?? []), `timeouts: { queue: ${this.#queueMs}ms }`] });
    this.#config = config;
  }

  /** The line of HAProxy's file that only the last new structure has. */
  get structure(): string {
    return `timeout queue ${this.#queueMs}ms`;
  }

  /** Never a whole number of seconds, which would be written otherwise. */
  get #queueMs(): number {
    return 60_001 + 2 * this.#structures;
  }

  /** Waits until the last new structure is live: the file of the process that serves has it. */
  async restructured(): Promise<void> {
    await until(
      'the new structure is live',
      async () => {
        const { haproxy } = await this.place.status();
        const file = await this.place.read(`run/state/g${haproxy?.generation}/haproxy.cfg`);
        return file.includes(this.structure);
      },
      { withinMs: 30_000 },
    );
  }

  /** Who serves `web`, and every other service that is named. */
  async serve(by: Name, ...others: readonly string[]): Promise<void> {
    const address = `["127.0.0.1:${this.backends[by].port}"]`;
    const lines = ['web', ...others].map((service) => `  ${service}: ${address}\n`);
    await this.place.write('services.yaml', `services:\n${lines.join('')}`);
  }

  /** The endpoints of `web` by their ids, with what else is known of some. */
  async list(
    endpoints: Readonly<Record<string, Backend>>,
    meta: Readonly<Record<string, string>> = {},
    state: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const lines = Object.entries(endpoints).map(
      ([id, { port }]) =>
        `    - { id: ${id}, address: 127.0.0.1, port: ${port}, state: ${state[id] ?? 'ready'}, meta: { ${meta[id] ?? ''} } }\n`,
    );
    await this.place.write('services.yaml', `services:\n  web:\n${lines.join('')}`);
  }

  /** Starts Myelin with `alpha` at the service, and waits until it serves. */
  async start(...args: readonly string[]): Promise<MyelinProcess> {
    await this.serve('alpha');
    const myelin = this.place.run(...args);
    await myelin.until('the first config is applied', ({ stateReasons }) => isApplied(stateReasons));
    return myelin;
  }

  load(): SteadyLoad {
    return this.#atEnd.use(steadyLoad(this.port));
  }

  /** Disposes of `resource` before the workplace is taken down. */
  use<T extends AsyncDisposable>(resource: T): T {
    return this.#atEnd.use(resource);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#atEnd.disposeAsync().then(() => undefined);
  }
}

export async function site(config: SiteConfig = {}): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const backends = stack.use(await startBackends(backendNames));
  const place = stack.use(await workplace(''));
  const made = new Site(place, await freePort(), backends, stack.move());
  await made.configure(config);
  return made;
}
