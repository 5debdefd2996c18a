/**
 * A process that a new HAProxy takes for its predecessor (`-sf`), so that the serving process gets no signal.
 *
 * HAProxy tells its predecessor to pause when it does not get an address, and tries again every 10 ms for two
 * seconds: the pause shows that the new process has reached its addresses, and whatever still holds them can
 * release them for that moment alone. And where there is a predecessor, HAProxy 2.4 to 2.8 waits for the stick tables
 * that the predecessor's peers teach it, and teaches them in turn.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../../../errors.ts';

/** The stand-in ends with its parent, however the parent ends. */
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
      // `wasPaused` reports the rejection.
      this.#pause.catch(() => {});
    });
  }

  /** `onPause` is called once, when the new process cannot get an address. */
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

  /** Whether there was a pause, after `onPause` has ended. Rejects where `onPause` failed. */
  async wasPaused(): Promise<boolean> {
    await this.#pause;
    return this.#pause !== null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
