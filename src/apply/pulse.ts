/** Whether the HAProxy that serves answers: one that hangs still takes connections, and nobody is served over them. */
import { describe } from '../errors.ts';
import { nobodyListens } from '../haproxy/socket.ts';
import type { Moment, Ms } from '../model.ts';
import type { Control, ControlEvent } from './control.ts';

type Whose = { readonly pid: number; readonly generation: number };

type Silence = Whose & { readonly since: Moment; readonly reason: string; readonly isTold: boolean };

type PulseOptions = { readonly now: () => Moment; readonly onEvent: (event: ControlEvent) => void };

/** One that is merely busy answers sooner. */
const hangsAfterMs: Ms = 10_000;

export class Pulse {
  readonly #options: PulseOptions;
  #silence: Silence | null = null;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** null: it answers, or has been silent for a moment only. */
  get unresponsive(): Control['unresponsive'] {
    return this.#silence?.isTold ? this.#silence : null;
  }

  /** How long it has not answered, where it was asked. */
  get silentMs(): Ms {
    return this.#silence === null ? 0 : this.#options.now() - this.#silence.since;
  }

  /** Nothing serves. */
  none(): void {
    this.#silence = null;
  }

  answered({ pid, generation }: Whose): void {
    const silence = this.#silence;
    const { silentMs } = this;
    this.#silence = null;
    if (silence?.isTold && silence.pid === pid)
      this.#options.onEvent({ kind: 'responsive', pid, generation, silentMs });
  }

  missed({ pid, generation }: Whose, askedAt: Moment, error: unknown): void {
    // It has ended, or somebody has removed its socket: both are seen otherwise.
    if (nobodyListens(error)) return;
    const before = this.#silence?.pid === pid ? this.#silence : null;
    const since = before?.since ?? askedAt;
    const isTold = this.#options.now() - since >= hangsAfterMs;
    this.#silence = { pid, generation, since, reason: describe(error), isTold };
    if (isTold && !before?.isTold) this.#options.onEvent({ kind: 'unresponsive', pid, generation, error });
  }
}
