/**
 * When a reconcile runs: the first change after quiet at once, those of a burst together, one reconcile at a time, and
 * again whenever something is due. It knows since when a change waits, and who waits for a reload.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { AppError } from '../errors.ts';
import type { Mutex } from '../lib/mutex.ts';
import { now } from '../lib/time/clock.ts';
import { createDeadline, type Deadline } from '../lib/time/deadline.ts';
import { createDebounce, type Debounce } from '../lib/time/debounce.ts';
import type { Moment, Ms, ReloadReason } from '../model.ts';
import type { RenderResult } from '../render/render.ts';
import type { DesiredState } from './desired-state.ts';
import type { Reconciler } from './reconciler.ts';
import type { Result, RuntimeResult } from './result.ts';

/** How a reconcile ended, and what it was about. */
export type Reconciled = {
  readonly result: Result;
  /** What it was rendered from. */
  readonly catalog: Catalog;
  /** When the oldest change came that this reconcile is about; null: it was about none. */
  readonly changedAt: Moment | null;
  /** Whether anything runs that serves, whatever became of this. */
  readonly isServing: boolean;
  readonly renderMs: Ms;
  /** All of the reconcile. */
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
  /** Keeps reconciles apart from whatever else speaks to HAProxy. */
  readonly mutex: Mutex;
  /** Shows from outside that a reconcile comes to an end. */
  readonly heartbeat: { during<T>(work: () => Promise<T>): Promise<T> };
  /** Called at the beginning of each: what is due by now is done. */
  readonly advance: () => void;
  readonly onResult: (reconciled: Reconciled) => void;
  readonly report: (
    happening:
      | { readonly kind: 'reload_started'; readonly reasons: readonly ReloadReason[] }
      /** One broke off; another one follows. */
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
  /** Of operators that wait for a reload. */
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

  /** What is known to serve is live: it was found so, or has been applied. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** The catalog or the config has changed. */
  changed(): void {
    this.#changedAt ??= now();
    this.wake();
  }

  /** Looks whether there is something to do. */
  wake(): void {
    this.#debounce.poke();
  }

  /** Reloads although nothing has changed. Settles when that was done or refused; rejects where it breaks off. */
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

  /** Settles when what was under way has come to rest after the signal. */
  async ended(): Promise<void> {
    await this.#debounce.idle();
    await this.#reloading;
    await this.#options.mutex(async () => {});
    this.#answer(this.#requests, (request) => request.reject(new AppError('MYELIN_NOT_RUNNING', 'Myelin is stopping')));
  }

  /** Runs one reconcile now; the caller holds the mutex. */
  async reconcile(): Promise<void> {
    const startedAt = performance.now();
    const { editions, desired, reconciler, driver, advance, onResult, report } = this.#options;
    advance();
    const { catalog } = editions.collection;
    const changedAt = this.#changedAt;
    const isKnown = !desired.isBlind;
    const rendered = desired.render();
    if (rendered === null) return this.#deadline.set([editions.nextDeadline(now())]);
    const renderMs = performance.now() - startedAt;
    const notify = (result: Result): void => {
      const tookMs = performance.now() - startedAt;
      onResult({ result, catalog, changedAt, isServing: driver.running !== null, renderMs, tookMs });
    };
    if (reconciler.isReloading) return this.#updateMeanwhile(rendered, notify);

    this.#changedAt = null;
    const requests = this.#requests;
    let isReported = false;
    const finish = (result: Result): void => {
      const isDone = result.kind !== 'pending' && result.kind !== 'postponed';
      if (isDone) this.#answer(requests, (request) => request.resolve(result));
      else if (!isReported) this.#changedAt = changedAt ?? this.#changedAt;
      this.#isBegun ||= isKnown && (result.kind === 'noop' || result.kind === 'runtime' || result.kind === 'reload');
      notify(result);
      const { nextRetry } = reconciler;
      this.#deadline.set([editions.nextDeadline(now()), nextRetry, 'at' in result ? result.at : null]);
    };
    const result = await reconciler.reconcile(
      {
        rendered,
        requested: requests.length > 0 ? [{ code: 'operator_request' }] : [],
        onMeanwhile: (meanwhile: RuntimeResult) => {
          isReported = true;
          notify(meanwhile);
        },
      },
      this.#signal,
    );
    if (result.kind !== 'reloading') return finish(result);
    report({ kind: 'reload_started', reasons: result.reasons });
    this.#reloading = result.result
      .then(finish)
      .catch((error: unknown) => this.#brokeOff(error))
      // What has changed meanwhile is planned against the process that serves now.
      .then(() => this.wake());
  }

  /** A reload is under way, and another reconcile follows it: for now only commands are sent. */
  async #updateMeanwhile(rendered: RenderResult, notify: (result: Result) => void): Promise<void> {
    const result = await this.#options.reconciler.meanwhile(rendered, this.#signal);
    if (result === null) return;
    this.#changedAt = null;
    notify(result);
  }

  #brokeOff(error: unknown): void {
    // A reconcile that ends because Myelin stops has not failed.
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
