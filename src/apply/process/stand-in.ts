/**
 * A process that a new HAProxy takes for the one before it (`-sf`), so that the one that serves is told nothing.
 *
 * HAProxy tells the process before it to pause when it does not get an address, and tries again every 10 ms for two
 * seconds: so it is known here when the new one has come as far as its addresses, and all that is still in its way can
 * be put aside for that moment alone. And where there was a process before it, HAProxy 2.4 to 2.8 waits for what that
 * one's peers teach it, and teaches it in turn.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../../errors.ts';

/** It ends with the one that started it, however that ends. */
const program = [
  "for (const signal of ['SIGUSR1', 'SIGTTIN']) process.on(signal, () => {});",
  "process.on('SIGTTOU', () => process.stdout.write('paused'));",
  "process.stdin.on('end', () => process.exit()).resume();",
  "process.stdout.write('ready');",
].join('');

export class StandIn implements AsyncDisposable {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #pause: Promise<void> | null = null;

  private constructor(child: ChildProcess, pid: number, exited: Promise<unknown>, onPause: () => Promise<void>) {
    this.#child = child;
    this.pid = pid;
    this.#exited = exited;
    child.stdout?.on('data', () => {
      this.#pause ??= onPause();
      // `wasPaused` rejects with it.
      this.#pause.catch(() => {});
    });
  }

  /** `onPause` is called once, where the new process cannot have an address. */
  static async start(onPause: () => Promise<void>): Promise<StandIn> {
    const child = spawn(process.execPath, ['-e', program], { env: {}, stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child, 'spawn');
    const exited = once(child, 'exit');
    const isReady = await Promise.race([once(child.stdout, 'data').then(() => true), exited.then(() => false)]);
    if (child.pid === undefined || !isReady)
      throw new AppError(
        'MYELIN_HAPROXY_FAILED',
        'the process that stands in for the HAProxy before the new one has ended',
      );
    return new StandIn(child, child.pid, exited, onPause);
  }

  /** Whether there was a pause; what was done then is done. Rejects where that failed. */
  async wasPaused(): Promise<boolean> {
    await this.#pause;
    return this.#pause !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
