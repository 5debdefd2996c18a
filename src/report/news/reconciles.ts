/** The results of reconciles, for the status; a failure that repeats is one trouble. */
import { describe } from '../../errors.ts';
import { toWallClock } from '../../lib/time/clock.ts';
import type { Moment } from '../../model.ts';
import type { Reconciled } from '../../reconcile/reconcile-queue.ts';
import type { Result } from '../../reconcile/result.ts';
import type { Message } from '../messages.ts';
import type { LastApply } from '../status.ts';
import { problemText } from '../text/problem-text.ts';

/** As in the status, but with a monotonic time. */
export type Applied = Omit<LastApply, 'at'> & { readonly at: Moment };

type Pending = Extract<Result, { readonly kind: 'pending' }>;

/** `isRepeat`: nothing has changed since the last such message. */
type News = { readonly message: Message; readonly isRepeat: boolean };

export class ReconcileNews {
  #lastApply: Applied | null = null;
  /** The last successful update. */
  #lastGood: Applied | null = null;
  #lastReload: Applied | null = null;
  #pending: Pending | null = null;
  /** Since when a reload is wanted and has not come. */
  #pendingSince: Moment | null = null;
  #trouble: string | null = null;

  get lastApply(): Applied | null {
    return this.#lastApply;
  }

  /** The last reload that succeeded, whatever commands changed since. */
  get lastReload(): Applied | null {
    return this.#lastReload;
  }

  get pending(): (Pending & { readonly since: Moment }) | null {
    const [pending, since] = [this.#pending, this.#pendingSince];
    return pending === null || since === null ? null : { ...pending, since };
  }

  /** null: there is nothing to report. */
  result({ result, changedAt, isServing, tookMs }: Reconciled, now: Moment): News | null {
    const sinceChangeMs = changedAt === null ? null : now - changedAt;
    const pendingBefore = this.#pending;
    this.#pending = result.kind === 'pending' ? result : null;
    if (result.kind === 'pending') this.#pendingSince ??= now;
    if (result.kind === 'noop' || result.kind === 'reload') this.#pendingSince = null;
    switch (result.kind) {
      case 'noop':
        // The change that could not be applied is not wanted any more.
        this.#lastApply = this.#lastGood;
        this.#trouble = null;
        return null;
      case 'postponed':
        return null;
      case 'pending': {
        const { reasons, because, at } = result;
        // While the reload waits, each further change has the same result.
        const isRepeat = JSON.stringify(pendingBefore) === JSON.stringify(result);
        return { message: { kind: 'pending', reasons, because, startsAt: toWallClock(at) }, isRepeat };
      }
      case 'runtime': {
        const { owners, commands } = result;
        const backends = owners.map((owner) => owner.replace(/^backend /, ''));
        this.#worked({ at: now, result: 'runtime', reasons: [], backends, tookMs, error: null });
        return { message: { kind: 'runtime', backends, commands, tookMs, sinceChangeMs }, isRepeat: false };
      }
      case 'reload': {
        const { reasons, tookMs: reloadMs } = result;
        this.#worked({ at: now, result: 'reload', reasons, backends: [], tookMs, error: null });
        return { message: { kind: 'reload', reasons, tookMs, reloadMs, sinceChangeMs }, isRepeat: false };
      }
      case 'rejected': {
        const { problems } = result;
        const isRepeat = this.#failed('rejected', problemText(problems), now);
        return { message: { kind: 'rejected', problems, isServing }, isRepeat };
      }
      case 'failed': {
        const { error, reasons } = result;
        const isRepeat = this.#failed('failed', describe(error), now, reasons);
        return { message: { kind: 'failed', error, reasons, tookMs, isServing }, isRepeat };
      }
    }
  }

  /** A reconcile threw an unexpected error. */
  broke(error: unknown, now: Moment): News {
    return { message: { kind: 'reconcile_failed', error }, isRepeat: this.#failed('failed', describe(error), now) };
  }

  #worked(applied: Applied): void {
    this.#lastGood = applied;
    if (applied.result === 'reload') this.#lastReload = applied;
    this.#lastApply = applied;
    this.#trouble = null;
  }

  /** Records a failure. Returns whether the last reconcile failed in the same way. */
  #failed(result: 'rejected' | 'failed', error: string, at: Moment, reasons: Applied['reasons'] = []): boolean {
    this.#lastApply = { at, result, reasons, backends: [], tookMs: null, error };
    const isRepeat = this.#trouble === error;
    this.#trouble = error;
    return isRepeat;
  }
}
