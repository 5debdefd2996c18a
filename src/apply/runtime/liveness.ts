/** Whether the serving HAProxy answers: one that hangs still accepts connections, but does not serve them. */
import { describe } from '../../errors.ts';
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import type { Moment, Ms } from '../../model.ts';
import type { Trouble } from '../driver.ts';
import type { DriverEvent } from '../driver-event.ts';

type Whose = { readonly pid: number; readonly generation: number };

type Silence = Whose & {
  readonly since: Moment;
  /** When the first answer was missed: time before that may be a pause of Myelin itself, or of the whole machine. */
  readonly noticedAt: Moment;
  readonly misses: number;
  readonly reason: string;
  readonly isReported: boolean;
};

type PulseOptions = { readonly now: () => Moment; readonly onEvent: (event: DriverEvent) => void };

type Limit = { readonly afterMs: Ms; readonly misses: number };

/** Time since the first missed answer, and the least number of misses. A busy process answers sooner. */
const hangs: Limit = { afterMs: 10_000, misses: 2 };
const hangsForGood: Limit = { afterMs: 25_000, misses: 4 };

export class Liveness {
  readonly #options: PulseOptions;
  #silence: Silence | null = null;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** null: the process answers, or was silent only briefly. */
  get unresponsive(): Trouble | null {
    return this.#silence?.isReported ? this.#silence : null;
  }

  /** Whether the process has been silent for so long that it will not recover. */
  get isHopeless(): boolean {
    return this.#silence !== null && this.#lasts(this.#silence, hangsForGood);
  }

  /** Nothing serves. */
  none(): void {
    this.#silence = null;
  }

  answered({ pid, generation }: Whose): void {
    const silence = this.#silence;
    this.#silence = null;
    if (!silence?.isReported || silence.pid !== pid) return;
    this.#options.onEvent({ kind: 'responsive', pid, generation, silentMs: this.#options.now() - silence.since });
  }

  missed({ pid, generation }: Whose, askedAt: Moment, error: unknown): void {
    // The process has ended, or its socket was removed: other code notices both.
    if (nobodyListens(error)) return;
    const before = this.#silence?.pid === pid ? this.#silence : null;
    const misses = (before?.misses ?? 0) + 1;
    const { since, noticedAt } = before ?? { since: askedAt, noticedAt: this.#options.now() };
    const isReported = this.#lasts({ noticedAt, misses }, hangs);
    this.#silence = { pid, generation, since, noticedAt, misses, reason: describe(error), isReported };
    if (isReported && !before?.isReported) this.#options.onEvent({ kind: 'unresponsive', pid, generation, error });
  }

  #lasts({ noticedAt, misses }: Pick<Silence, 'noticedAt' | 'misses'>, limit: Limit): boolean {
    return misses >= limit.misses && this.#options.now() - noticedAt >= limit.afterMs;
  }
}
