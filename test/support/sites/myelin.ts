/** A real Myelin for end-to-end tests: its own process, its own folder, and nothing of it left behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { delimiter, dirname, join } from 'node:path';
import type { Status } from '../../../src/report/status.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { tempFolder, until } from '../index.ts';
import { kill } from '../machine/processes.ts';
import { cli, commandOf } from './cli.ts';

export type Finished = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** A folder with a `myelin.yaml`, in which commands are run. Disposing ends every process that was started from it. */
export class Workplace implements AsyncDisposable {
  readonly folder: string;
  /** For what is started from now on, beside what this process has. */
  env: NodeJS.ProcessEnv = {};
  readonly #dispose: () => PromiseLike<void>;
  readonly #haproxy: string;
  readonly #program: string;

  constructor(folder: string, dispose: () => PromiseLike<void>, haproxyBinary: string, program: string) {
    this.folder = folder;
    this.#dispose = dispose;
    this.#haproxy = haproxyBinary;
    this.#program = program;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Puts a file in place at once, as an editor or a deployment would. */
  async write(name: string, text: string): Promise<void> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  }

  read(name: string): Promise<string> {
    return readFile(this.path(name), 'utf8');
  }

  /** Runs one command to its end. */
  async command(...args: readonly string[]): Promise<Finished> {
    const child = this.#spawn(args, ['ignore', 'pipe', 'pipe']);
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const chunks: Buffer[] = [];
      stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
      return () => Buffer.concat(chunks).toString('utf8');
    });
    const [exitCode] = (await once(child, 'close')) as [number | null];
    return { exitCode: exitCode ?? -1, stdout: stdout?.() ?? '', stderr: stderr?.() ?? '' };
  }

  /** `myelin run`; does not wait for anything: see `applied`. */
  run(...args: readonly string[]): MyelinProcess {
    return new MyelinProcess(this, this.#spawn(['run', ...args], ['ignore', 'pipe', 'pipe']));
  }

  /** The metrics as they are now: on a busy machine Myelin answers with a page that is seconds old. */
  async metrics(): Promise<string> {
    const read = (): Promise<string> => ask(this.path('run/myelin.sock'), 'GET', '/metrics');
    const old = await read();
    // Each page that was made anew says another processor time.
    return until('there is a new page of metrics', async () => {
      const page = await read();
      return page === old ? null : page;
    });
  }

  /** What the running Myelin says of itself over its control socket. */
  async status(): Promise<Status> {
    return JSON.parse(await ask(this.path('run/myelin.sock'), 'GET', '/api/v1/status')) as Status;
  }

  /** As `myelin reload`: settles once a new HAProxy serves. */
  async reload(): Promise<void> {
    await ask(this.path('run/myelin.sock'), 'POST', '/api/v1/reload');
  }

  /** PIDs of the HAProxies that were started from this folder, in no order. */
  async haproxies(): Promise<readonly number[]> {
    const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(
      processes.map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')] as const),
    );
    return lines.filter(([, line]) => line.includes(`-f\0${this.folder}/`)).map(([pid]) => Number(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children.map(({ exited }) => exited));
    // Without its Myelin nobody starts a HAProxy again.
    await until('every HAProxy of the folder is gone', async () => {
      const left = await this.haproxies();
      for (const pid of left) kill(pid);
      return left.length === 0;
    });
    await this.#dispose();
  }

  readonly #children: { readonly child: ChildProcess; readonly exited: Promise<unknown> }[] = [];

  #spawn(args: readonly string[], stdio: ('ignore' | 'pipe')[]): ChildProcess {
    const PATH = [dirname(this.#haproxy), process.env.PATH].join(delimiter);
    const [program, ...first] = commandOf(this.#program);
    const child = spawn(program, [...first, ...args], {
      cwd: this.folder,
      stdio,
      env: { ...process.env, ...this.env, PATH },
    });
    this.#children.push({ child, exited: once(child, 'exit') });
    return child;
  }
}

/** `config` is the text of `myelin.yaml`; what it leaves out are the defaults, with probes off. */
export async function workplace(config: string, program: string = cli): Promise<Workplace> {
  const folder = await tempFolder();
  const place = new Workplace(folder.path, () => folder[Symbol.asyncDispose](), await haproxy(), program);
  await place.write('myelin.yaml', config);
  return place;
}

export class MyelinProcess {
  readonly pid: number;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #place: Workplace;
  #output = '';
  readonly #streams = { stdout: '', stderr: '' };

  constructor(place: Workplace, child: ChildProcess) {
    this.#place = place;
    this.#child = child;
    this.pid = child.pid ?? -1;
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('utf8');
        this.#streams[name] += chunk.toString('utf8');
      });
    this.ended = once(child, 'exit').then(([code, signal]: (number | string | null)[]) => code ?? signal ?? -1);
  }

  /** All that it has printed: logs as JSON lines, and HAProxy's own. */
  get output(): string {
    return this.#output;
  }

  /** The same, by where it was printed. */
  get streams(): { readonly stdout: string; readonly stderr: string } {
    return this.#streams;
  }

  /** Waits until the status satisfies; its output is part of the message when it does not come to that. */
  async until(what: string, satisfies: (status: Status) => boolean, withinMs = 30_000): Promise<Status> {
    try {
      return await until(
        what,
        async () => {
          if (this.#child.exitCode !== null) throw new Error(`myelin ended with exit code ${this.#child.exitCode}`);
          const status = await this.#place.status();
          return satisfies(status) ? status : null;
        },
        { withinMs },
      );
    } catch (error) {
      throw new Error(`${what}; it printed:\n${this.#output.slice(-4000)}`, { cause: error });
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** One request over a unix socket; rejects unless the answer is 2xx. */
export function ask(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((fulfil, reject) => {
    const asking = request({ socketPath, method, path, timeout: 5000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== undefined && response.statusCode < 300) fulfil(body);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${body}`));
      });
    });
    asking.on('error', reject);
    asking.on('timeout', () => asking.destroy(new Error(`${method} ${path}: no answer`)));
    asking.end();
  });
}
