/** Keeps every output in step with the newest view. An output that fails or hangs delays no other, and not HAProxy. */
import { join } from 'node:path';
import { outputsFolder } from '../config/paths.ts';
import { AppError, describe } from '../errors.ts';
import { differenceOf } from '../lib/difference.ts';
import { createMutex } from '../lib/mutex.ts';
import { createDeadline } from '../lib/time/deadline.ts';
import { type Patience, Retries } from '../lib/time/retry.ts';
import type { Moment, Ms } from '../model.ts';
import { type Output, outputTarget } from './file-output.ts';
import type { CatalogView, ServiceView, Target, TargetOutcome } from './target.ts';

type FailedStep = 'template' | Extract<TargetOutcome, { kind: 'failed' }>['step'];

export type OutputEvent =
  | { readonly kind: 'output_written'; readonly output: string; readonly path: string }
  | { readonly kind: 'output_failed'; readonly output: string; readonly step: FailedStep; readonly error: unknown }
  /** Somebody else had changed or removed the file. */
  | { readonly kind: 'output_restored'; readonly output: string; readonly path: string }
  /** The file has the desired bytes again, without having been written. */
  | { readonly kind: 'output_recovered'; readonly output: string };

type OutputState =
  /** Not every service is known yet. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'current' }
  | {
      readonly kind: 'failed';
      readonly step: FailedStep;
      readonly error: AppError;
      /** Of failures alike only the first is reported. */
      readonly key: string;
      readonly since: Moment;
      readonly retryAt: Moment;
      /** The text that could not be made live; null where the template failed. */
      readonly desired: unknown;
    };

export type OutputReport = {
  readonly name: string;
  readonly path: string;
  readonly state: OutputState;
  /** When this run of Myelin wrote it last. */
  readonly writtenAt: Moment | null;
};

type OutputsOptions = {
  /** Myelin's own folder. */
  readonly state: string;
  readonly report: (event: OutputEvent) => void;
  readonly now: () => Moment;
  /** Within this time a file that somebody else has changed is noticed and restored. */
  readonly verifyInterval: () => Ms;
};

/** A runtime command goes first: filling a template for thousands of services takes longer than the command. */
const headStartMs: Ms = 10;

const patience: Patience = { baseMs: 1000, capMs: 30_000, longestMs: 300_000, share: 0.1 };

export class Outputs {
  readonly #options: OutputsOptions;
  readonly #signal: AbortSignal;
  #outputs: readonly Output[] = [];
  #followers: readonly Follower[] = [];
  #ended: Promise<unknown> = Promise.resolve();
  #view: ServiceView | null = null;
  readonly #begun = Promise.withResolvers<void>();

  constructor(options: OutputsOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /**
   * Sets what the files should hold from now on. Returns at once. The files stay unchanged while a service has no
   * result: no result does not mean no endpoints. A service whose query cannot be answered does not hold up the others:
   * it has no endpoints.
   */
  show(outputs: readonly Output[], view: CatalogView): void {
    if (outputs !== this.#outputs) this.#replace(outputs);
    if (outputs.length > 0 && (!view.open || view.pending.size > 0)) return;
    if (outputs.length > 0) this.#showEndpoints(view);
    this.#begun.resolve();
  }

  #showEndpoints({ endpoints }: ServiceView): void {
    if (this.#view !== null && isSame(this.#view.endpoints, endpoints)) return;
    this.#view = { endpoints };
    for (const follower of this.#followers) follower.show(this.#view);
  }

  /** Settles once every service was known for the first time: the files can be written then; or if there are none. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  get states(): readonly OutputReport[] {
    return this.#followers.map(({ state }) => state);
  }

  /** Settles once each output has tried the newest view. */
  async settled(): Promise<void> {
    await Promise.all(this.#followers.map((follower) => follower.settled()));
  }

  /** Settles when no output is at work any more, after `signal` aborted. */
  async ended(): Promise<void> {
    await this.#ended;
    await Promise.all(this.#followers.map((follower) => follower.end()));
  }

  #replace(outputs: readonly Output[]): void {
    // Two outputs must not work on one file: those of the new config begin when those of the old config have ended.
    const before = Promise.all([this.#ended, ...this.#followers.map((follower) => follower.end())]);
    this.#ended = before;
    this.#outputs = outputs;
    this.#view = null;
    this.#followers = outputs.map((output) => new Follower(output, before, this.#options, this.#signal));
  }
}

/** Keeps one output in step. */
class Follower {
  readonly #output: Output;
  readonly #target: Target<string>;
  readonly #options: OutputsOptions;
  readonly #life = new AbortController();
  readonly #signal: AbortSignal;
  readonly #mutex = createMutex();
  readonly #deadline: ReturnType<typeof createDeadline>;
  readonly #retries = new Retries(patience);
  #state: OutputState = { kind: 'waiting' };
  #wanted: ServiceView | null = null;
  #tried: ServiceView | null = null;
  #shownAt: Moment = Number.NEGATIVE_INFINITY;
  #triedAt: Moment = Number.NEGATIVE_INFINITY;
  #verifiedAt: Moment = Number.NEGATIVE_INFINITY;
  #writtenAt: Moment | null = null;

  constructor(output: Output, before: Promise<unknown>, options: OutputsOptions, signal: AbortSignal) {
    this.#output = output;
    this.#options = options;
    this.#target = outputTarget(output, join(outputsFolder(options), `${output.name}.told`));
    this.#signal = AbortSignal.any([signal, this.#life.signal]);
    this.#deadline = createDeadline(() => void this.#mutex(() => this.#tryIfDue()), this.#signal);
    void this.#mutex(() => before);
  }

  get state(): OutputReport {
    const { name, path } = this.#output;
    return { name, path, state: this.#state, writtenAt: this.#writtenAt };
  }

  show(view: ServiceView): void {
    // The time of the first change counts: further changes do not delay the write.
    if (this.#wanted === this.#tried) this.#shownAt = this.#options.now();
    this.#wanted = view;
    this.#setDeadline();
  }

  async settled(): Promise<void> {
    await this.#mutex(() => (this.#wanted === this.#tried ? Promise.resolve() : this.#try()));
  }

  async end(): Promise<void> {
    this.#life.abort();
    await this.#mutex(async () => {});
  }

  /** Another call may have done what was due when the timer fired. */
  async #tryIfDue(): Promise<void> {
    const now = this.#options.now();
    if (this.#dueAt <= now) await this.#try();
    else if (this.#verifyAt <= now) await this.#verify();
    else this.#setDeadline();
  }

  async #verify(): Promise<void> {
    const isIntact = await this.#target.isIntact();
    this.#verifiedAt = this.#options.now();
    if (isIntact) this.#setDeadline();
    else await this.#try('restored');
  }

  async #try(why: 'news' | 'restored' = 'news'): Promise<void> {
    const view = this.#wanted;
    if (view === null || this.#signal.aborted) return;
    this.#tried = view;
    this.#triedAt = this.#options.now();
    try {
      const outcome = await this.#outcome(view);
      if (outcome !== null) this.#note(outcome, why);
    } catch (error) {
      // An abort is not a failure.
      if (!this.#signal.aborted) throw error;
    } finally {
      this.#triedAt = this.#options.now();
      this.#verifiedAt = this.#triedAt;
      this.#setDeadline();
    }
  }

  /** null: the same text has failed before, and its retry is not due yet. */
  async #outcome(view: ServiceView): Promise<Outcome | null> {
    const desired = this.#rendered(view);
    if (desired instanceof AppError)
      return { kind: 'failed', step: 'template', error: desired, key: describe(desired), desired: null };
    const state = this.#state;
    if (state.kind === 'failed' && state.desired === desired && this.#options.now() < state.retryAt) return null;
    const outcome = await this.#target.reconcile(desired, this.#signal);
    return outcome.kind === 'failed' ? { ...outcome, desired } : outcome;
  }

  #rendered(view: ServiceView): string | AppError {
    try {
      return this.#target.render(view);
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }

  #note(outcome: Outcome, why: 'news' | 'restored'): void {
    const { report, now } = this.#options;
    const { name, path } = this.#output;
    const before = this.#state;
    switch (outcome.kind) {
      case 'failed': {
        const { step, error, key, desired } = outcome;
        const at = now();
        const since = before.kind === 'failed' ? before.since : at;
        this.#state = { kind: 'failed', step, error, key, since, desired, retryAt: at + this.#retries.failed(at) };
        const isKnown = before.kind === 'failed' && before.step === step && before.key === key;
        if (!isKnown) report({ kind: 'output_failed', output: name, step, error });
        return;
      }
      case 'changed':
        this.#state = { kind: 'current' };
        this.#writtenAt = now();
        report({ kind: why === 'restored' ? 'output_restored' : 'output_written', output: name, path });
        return;
      case 'unchanged':
        this.#state = { kind: 'current' };
        if (why === 'restored') report({ kind: 'output_restored', output: name, path });
        if (before.kind === 'failed') report({ kind: 'output_recovered', output: name });
    }
  }

  #setDeadline(): void {
    this.#deadline.set([this.#dueAt, this.#verifyAt]);
  }

  get #verifyAt(): Moment {
    return this.#state.kind === 'current'
      ? this.#verifiedAt + this.#options.verifyInterval()
      : Number.POSITIVE_INFINITY;
  }

  get #dueAt(): Moment {
    const never = Number.POSITIVE_INFINITY;
    const isNew = this.#wanted !== this.#tried;
    const forNews = Math.max(this.#triedAt + this.#output.minIntervalMs, this.#shownAt + headStartMs);
    return Math.min(isNew ? forNews : never, this.#state.kind === 'failed' ? this.#state.retryAt : never);
  }
}

type Outcome =
  | Exclude<TargetOutcome, { kind: 'failed' }>
  | Pick<Extract<OutputState, { kind: 'failed' }>, 'kind' | 'step' | 'error' | 'key' | 'desired'>;

function isSame<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  const difference = differenceOf(a, b);
  return difference !== null && difference.come.length + difference.gone.length === 0;
}
