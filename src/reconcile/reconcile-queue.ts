/**
 * Decides when a reconcile runs: at once for the first change after quiet, once for all changes of a burst, and whenever
 * something is due; one reconcile at a time. Keeps the time of the oldest waiting change, and the operators that wait for a
 * reload.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { AppError } from '../errors.ts';
import type { Mutex } from '../lib/mutex.ts';
import { now } from '../lib/time/clock.ts';
import { createDeadline, type Deadline } from '../lib/time/deadline.ts';
import { createDebounce, type Debounce, type Ran } from '../lib/time/debounce.ts';
import type { Moment, Ms, ReloadReason } from '../model.ts';
import type { RenderResult } from '../render/render.ts';
import type { DesiredState } from './desired-state.ts';
import type { Reconciler } from './reconciler.ts';
import type { Result, RuntimeResult } from './result.ts';

/** The result of a reconcile, and the changes that it was for. */
export type Reconciled = {
  readonly result: Result;
  /** The catalog that was rendered. */
  readonly catalog: Catalog;
  /** The time of the oldest change that this reconcile was for; null: it was for none. */
  readonly changedAt: Moment | null;
  /** Whether a HAProxy serves, whatever the result. */
  readonly isServing: boolean;
  readonly renderMs: Ms;
  /** The time of the whole reconcile. */
  readonly tookMs: Ms;
};

type ReconcileQueueOptions = {
  readonly editions: {
    readonly settings: { readonly config: { readonly debounce: { readonly quiet: Ms; readonly max: Ms } } };
    readonly collection: { readonly catalog: Catalog };
    nextDeadline(now: Moment): Moment | null;
  };
  readonly desired: Pick<DesiredState, 'isBlind' | 'waitingFor' | 'render'>;
  readonly reconciler: Reconciler;
  readonly driver: Pick<ManagedDriver, 'running'>;
  /** Keeps reconciles apart from everything else that talks to HAProxy. */
  readonly mutex: Mutex;
  /** Tells the liveness probe when a reconcile hangs. */
  readonly heartbeat: { during<T>(work: () => Promise<T>): Promise<T> };
  /** Called at the beginning of each reconcile: does what is due. */
  readonly advance: () => void;
  readonly onResult: (reconciled: Reconciled) => void;
  readonly report: (
    happening:
      | { readonly kind: 'reload_started'; readonly reasons: readonly ReloadReason[] }
      /** A reconcile threw an error; another one follows. */
      | { readonly kind: 'reconcile_failed'; readonly error: unknown },
  ) => void;
};

type Request = PromiseWithResolvers<Result>;

/** After an unexpected error. */
const retryMs: Ms = 1000;

export class ReconcileQueue {
  readonly #options: ReconcileQueueOptions;
  readonly #signal: AbortSignal;
  readonly #debounce: Debounce;
  readonly #deadline: Deadline;
  #changedAt: Moment | null = null;
  /** The operators that wait for a reload. */
  #requests: readonly Request[] = [];
  #isBegun: boolean;
  #reloading = Promise.resolve();

  constructor(options: ReconcileQueueOptions, signal: AbortSignal) {
    const { editions, desired, driver, mutex, heartbeat } = options;
    this.#options = options;
    this.#signal = signal;
    this.#debounce = createDebounce(() => heartbeat.during(() => mutex(() => this.reconcile())), {
      get quietMs() {
        return editions.settings.config.debounce.quiet;
      },
      get maxMs() {
        return editions.settings.config.debounce.max;
      },
      signal,
      onError: (error) => this.#brokeOff(error),
    });
    this.#deadline = createDeadline(this.#debounce.poke, signal);
    this.#isBegun = driver.running !== null && !desired.isBlind;
  }

  /** The known endpoints are live: HAProxy was found with them, or they have been applied. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** The catalog or the config has changed. */
  changed(): void {
    this.#changedAt ??= now();
    this.wake();
  }

  /** Runs a reconcile soon, which finds out whether there is something to do. */
  wake(): void {
    this.#debounce.poke();
  }

  /** Reloads although nothing has changed. Resolves when the reload is live or refused; rejects where the reconcile throws. */
  async reload(): Promise<Result> {
    const { waitingFor } = this.#options.desired;
    if (waitingFor.length > 0) {
      const what = `there is nothing to reload yet: ${waitingFor.join(', ')} has not answered`;
      throw new AppError('MYELIN_SOURCE_TIMEOUT', what);
    }
    const request = Promise.withResolvers<Result>();
    this.#requests = [...this.#requests, request];
    this.wake();
    return request.promise;
  }

  /** Resolves when all work has ended after the signal. */
  async ended(): Promise<void> {
    await this.#debounce.idle();
    await this.#reloading;
    await this.#options.mutex(async () => {});
    this.#answer(this.#requests, (request) => request.reject(new AppError('MYELIN_NOT_RUNNING', 'Myelin is stopping')));
  }

  /** Runs one reconcile now; the caller holds the mutex. */
  async reconcile(): Promise<Ran> {
    const startedAt = performance.now();
    const { editions, desired, reconciler, driver, advance, onResult, report } = this.#options;
    advance();
    const { catalog } = editions.collection;
    const changedAt = this.#changedAt;
    const isKnown = !desired.isBlind;
    const rendered = desired.render();
    if (rendered === null) {
      this.#deadline.set([editions.nextDeadline(now())]);
      return 'idle';
    }
    const renderMs = performance.now() - startedAt;
    const notify = (result: Result): void => {
      const tookMs = performance.now() - startedAt;
      onResult({ result, catalog, changedAt, isServing: driver.running !== null, renderMs, tookMs });
    };
    if (reconciler.isReloading) return this.#updateMeanwhile(rendered, notify);

    this.#changedAt = null;
    const requests = this.#requests;
    let isReported = false;
    const finish = (result: Result): Ran => {
      const isDone = result.kind !== 'pending' && result.kind !== 'postponed';
      if (isDone) this.#answer(requests, (request) => request.resolve(result));
      else if (!isReported) this.#changedAt = changedAt ?? this.#changedAt;
      this.#isBegun ||= isKnown && (result.kind === 'noop' || result.kind === 'runtime' || result.kind === 'reload');
      notify(result);
      const { nextRetry } = reconciler;
      this.#deadline.set([editions.nextDeadline(now()), nextRetry, 'at' in result ? result.at : null]);
      return result.kind === 'noop' ? 'idle' : 'worked';
    };
    const reload = Promise.withResolvers<'reloading'>();
    const work = reconciler
      .reconcile(
        {
          rendered,
          requested: requests.length > 0 ? [{ code: 'operator_request' }] : [],
          onMeanwhile: (meanwhile: RuntimeResult) => {
            isReported = true;
            notify(meanwhile);
          },
          onReload: (reasons) => {
            report({ kind: 'reload_started', reasons });
            reload.resolve('reloading');
          },
        },
        this.#signal,
      )
      .then(finish);
    // A reload takes a tenth of a second and more: the next reconcile does not wait for its end.
    const first = await Promise.race([work, reload.promise]);
    if (first !== 'reloading') return first;
    this.#reloading = work
      .catch((error: unknown) => this.#brokeOff(error))
      // Changes that came during the reload are planned against the new process.
      .then(() => this.wake());
    return 'worked';
  }

  /** Sends commands only, because a reload is under way; another reconcile follows it. */
  async #updateMeanwhile(rendered: RenderResult, notify: (result: Result) => void): Promise<Ran> {
    const result = await this.#options.reconciler.meanwhile(rendered, this.#signal);
    if (result === null) return 'idle';
    this.#changedAt = null;
    notify(result);
    return 'worked';
  }

  #brokeOff(error: unknown): void {
    // A reconcile that the signal aborts has not failed.
    if (this.#signal.aborted) return;
    this.#answer(this.#requests, (request) => request.reject(error));
    this.#options.report({ kind: 'reconcile_failed', error });
    this.#deadline.set([this.#options.editions.nextDeadline(now()), now() + retryMs]);
  }

  #answer(requests: readonly Request[], how: (request: Request) => void): void {
    this.#requests = this.#requests.filter((request) => !requests.includes(request));
    for (const request of requests) how(request);
  }
}
