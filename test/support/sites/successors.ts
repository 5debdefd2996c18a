/**
 * Myelins that follow each other on one machine, as the pods of a DaemonSet do in the network of its node: the same
 * services on the same ports, and each with PIDs of its own, and with a folder of its own at the same path.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, readlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { isApplied } from '../applied.ts';
import { tempFolder, until } from '../index.ts';
import { cli } from './cli.ts';
import { MyelinProcess, type Workplace, workplace } from './myelin.ts';

export const handedOver = /listeners taken over from the HAProxy of another Myelin/;

/** `-r` for those who are not root; `--kill-child`, so that nothing outlives the test. The first of two folders is seen as the second. */
const contained = ['unshare', '-rpf', '--kill-child', '--mount-proc', 'sh', '-c'].concat([
  'mount --bind "$1" "$2" && shift 2 && exec "$@"',
  'sh',
]);

export class Successor implements AsyncDisposable {
  readonly place: Workplace;
  readonly myelin: MyelinProcess;

  constructor(place: Workplace, myelin: MyelinProcess) {
    this.place = place;
    this.myelin = myelin;
  }

  async ready(): Promise<void> {
    await this.myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons), 30_000);
  }

  async tookOver(): Promise<void> {
    await until('it says so', () => handedOver.test(this.myelin.output));
  }

  /** Where the link at `haproxy.statsSocket` leads. */
  statsSocket(): Promise<string> {
    return readlink(this.place.path('own/admin.sock'));
  }

  /** Has it end, as Kubernetes does. Its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    process.kill(await this.#pid(), signal);
    return this.myelin.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.myelin.kill('SIGKILL');
    await this.myelin.ended;
    await this.place[Symbol.asyncDispose]();
  }

  /** Of Myelin itself, as seen from here: the child of what gave it its PIDs. */
  async #pid(): Promise<number> {
    const { pid } = this.myelin;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return Number(children.trim());
  }
}

export class Succession implements AsyncDisposable {
  /** Where the folders of all of them are. */
  readonly shared: string;
  readonly #config: readonly string[];
  /** What each of them sees its own folder as. */
  readonly #own: string;
  readonly #atEnd: AsyncDisposableStack;
  #count = 0;

  constructor(shared: string, config: readonly string[], own: string, atEnd: AsyncDisposableStack) {
    this.shared = shared;
    this.#config = config;
    this.#own = own;
    this.#atEnd = atEnd;
  }

  async start({ edit = (config) => config, branch }: Start = {}): Promise<Successor> {
    this.#count += 1;
    const place = await workplace(edit(`${this.#config.join('\n')}\n`));
    await mkdir(place.path('own'));
    const [program = '', ...args] = [...contained, place.path('own'), this.#own, process.execPath, cli, 'run'];
    const PATH = [dirname(await haproxy(branch)), process.env.PATH].join(delimiter);
    const child = spawn(program, args, {
      cwd: place.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, POD_UID: `pod-${this.#count}`, PATH },
    });
    return this.#atEnd.use(new Successor(place, new MyelinProcess(place, child)));
  }

  async next(start?: Start): Promise<Successor> {
    const started = await this.start(start);
    await started.ready();
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#atEnd.disposeAsync();
  }
}

type Start = {
  /** Makes its config of the usual one. */
  readonly edit?: (config: string) => string;
  readonly branch?: HaproxyBranch | undefined;
};

export type SuccessionConfig = {
  /** Path of the file that all read their endpoints from. */
  readonly endpoints: string;
  /** Lines of YAML below `services` and `haproxy`. */
  readonly services: readonly string[];
  readonly haproxy?: readonly string[];
  readonly rest?: readonly string[];
};

export async function succession(config: SuccessionConfig): Promise<Succession> {
  const { endpoints, services, haproxy: lines = [], rest = ['probes: { listen: "off" }'] } = config;
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const shared = join(folder.path, 'h');
  const own = join(folder.path, 'own');
  await mkdir(own);
  const below = (all: readonly string[]): readonly string[] => all.map((line) => `  ${line}`);
  const text = [
    `watchers: { file: { path: ${endpoints} } }`,
    'services:',
    ...below(services),
    'haproxy:',
    ...below([
      'log: none',
      'onExit: stop',
      `statsSocket: ${own}/admin.sock`,
      `handover: "${shared}/\${POD_UID}"`,
      ...lines,
    ]),
    'reload: { minInterval: 0ms }',
    ...rest,
  ];
  return new Succession(shared, text, own, stack.move());
}

/** The config of one that knows of no others. */
export function withoutHandover(config: string): string {
  return config.replace(/^ {2}handover: .*\n/m, '');
}
