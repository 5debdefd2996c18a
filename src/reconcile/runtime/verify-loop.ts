/**
 * Reads back what runs, in rotation, and enforces the overrides of operators. It stands apart from the reconciles: reading
 * back is no change, so that it must not make a change wait for quiet.
 */
import type { ManagedDriver } from '../../apply/driver.ts';
import { AppError } from '../../errors.ts';
import type { Mutex } from '../../lib/mutex.ts';
import { createDeadline, type Deadline } from '../../lib/time/deadline.ts';
import { assertServer, type OverrideRequest, type OverrideStore } from '../overrides/override-store.ts';
import type { ReconcileQueue } from '../reconcile-queue.ts';
import type { Reconciler } from '../reconciler.ts';
import type { RuntimeUpdater } from './runtime-updater.ts';

type VerifyLoopOptions = {
  readonly driver: ManagedDriver;
  readonly updater: RuntimeUpdater;
  readonly reconciler: Reconciler;
  readonly queue: ReconcileQueue;
  readonly overrides: OverrideStore;
  readonly mutex: Mutex;
  readonly report: (
    happening:
      | { readonly kind: 'override_set'; readonly override: OverrideRequest }
      | { readonly kind: 'override_ended'; readonly override: OverrideRequest }
      /** Reading back failed; the next round tries again. */
      | { readonly kind: 'trouble'; readonly error: AppError }
      | { readonly kind: 'reconcile_failed'; readonly error: unknown },
  ) => void;
};

export class VerifyLoop {
  readonly #options: VerifyLoopOptions;
  readonly #signal: AbortSignal;
  readonly #deadline: Deadline;

  constructor(options: VerifyLoopOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    const verify = () => options.mutex(() => this.#verify()).catch((error: unknown) => this.#failed(error));
    this.#deadline = createDeadline(() => void verify(), signal);
  }

  /** Something was applied, so that the next reading back may be due sooner. */
  reschedule(): void {
    const { reconciler, updater, overrides } = this.#options;
    this.#deadline.set([reconciler.isReloading ? null : updater.nextVerification, overrides.nextExpiry]);
  }

  /**
   * An operator takes a server out, or gives it back. Rejects with an AppError where there is no such server, or HAProxy
   * does not follow.
   */
  async override(override: OverrideRequest): Promise<void> {
    const { mutex, overrides, driver, queue, updater, report } = this.#options;
    try {
      await mutex(async () => {
        // An override of a server that has gone can still be taken back.
        if (!(override.state === null && overrides.has(override)))
          assertServer(driver, override.backend, override.server);
        await overrides.set(override);
        report({ kind: 'override_set', override });
        await queue.reconcile();
        await updater.enforce(override);
      });
    } finally {
      this.reschedule();
    }
  }

  async #verify(): Promise<void> {
    const { reconciler, updater, overrides, driver, queue, report } = this.#options;
    try {
      const expired = overrides.takeExpired();
      for (const override of expired) report({ kind: 'override_ended', override: { ...override, state: null } });
      if (expired.length > 0) queue.wake();
      // A process that does not answer is not queried: its hang is reported already.
      const canLook = !reconciler.isReloading && driver.unresponsive === null;
      if (canLook && (await updater.verify())) queue.wake();
      if (expired.length > 0) await overrides.save();
    } finally {
      this.reschedule();
    }
  }

  /** HAProxy keeps serving; the next round tries again. */
  #failed(error: unknown): void {
    if (this.#signal.aborted) return;
    const { report } = this.#options;
    if (error instanceof AppError) report({ kind: 'trouble', error });
    else report({ kind: 'reconcile_failed', error });
  }
}
