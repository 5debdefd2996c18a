/**
 * One reconcile: render what should be, plan what it takes, have it applied. A service that is at fault is set apart
 * here: it keeps its last good sections, or an empty backend of its name, and the others go live.
 */
import type { Control } from './apply/control.ts';
import { AppError } from './errors.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from './model.ts';
import { OfferBudget } from './offer-budget.ts';
import { type Overrides, overridden } from './overrides.ts';
import { type RuntimeResult, runtimeResult, type ServerChanges } from './server-changes.ts';
import { type Apart, backOff, SetApart, sameText } from './set-apart.ts';

export type Result =
  /** What runs is what is wanted. */
  | { readonly kind: 'noop' }
  | RuntimeResult
  | { readonly kind: 'reload'; readonly reasons: readonly ReloadReason[]; readonly tookMs: Ms }
  /** A reload is to be done, but not before `at`. */
  | {
      readonly kind: 'pending';
      readonly reasons: readonly ReloadReason[];
      readonly because: string;
      readonly at: Moment;
    }
  /** HAProxy or the preflight refuses it and no service can be set apart for it: the old state serves on. */
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[]; readonly at: Moment }
  /** It could not be written or started: the old state serves on. */
  | {
      readonly kind: 'failed';
      readonly error: AppError;
      readonly reasons: readonly ReloadReason[];
      readonly at: Moment;
    };

/** A reload has begun; `result` settles when it has come to an end. Until then `meanwhile` can be called. */
export type Reloading = {
  readonly kind: 'reloading';
  readonly reasons: readonly ReloadReason[];
  readonly result: Promise<Result>;
};

export type Wish = {
  readonly rendered: Rendered;
  /** Services that could not be rendered. */
  readonly faulty: readonly Problem[];
  /** What an operator asked for. */
  readonly requested: readonly ReloadReason[];
  /** Told of what commands did while the rest has to wait for a reload. */
  readonly onMeanwhile: (result: RuntimeResult) => void;
};

/** A whole file that was refused, and when the same bytes get another try: what is amiss may lie outside them. */
type Refusal = {
  readonly sections: readonly Section[];
  readonly problems: readonly Problem[];
  readonly attempts: number;
  readonly retryAt: Moment;
};

const retryAfterMs: Ms = 1000;

export class Reconciler {
  readonly #control: Control;
  readonly #changes: ServerChanges;
  readonly #budget: OfferBudget;
  readonly #setApart: SetApart;
  readonly #overrides: () => Overrides;
  readonly #now: () => Moment;
  #refusal: Refusal | null = null;
  /** Since when something is wanted that only a reload can do. */
  #wantedSince: Moment | null = null;
  #reloadBegun = Promise.withResolvers<{ readonly kind: 'begun'; readonly reasons: readonly ReloadReason[] }>();
  #isReloading = false;

  constructor(
    control: Control,
    changes: ServerChanges,
    overrides: () => Overrides,
    now: () => Moment,
    budget: OfferBudget = new OfferBudget(() => 0),
  ) {
    this.#control = control;
    this.#overrides = overrides;
    this.#changes = changes;
    this.#budget = budget;
    this.#setApart = new SetApart(control.running?.sections ?? control.found, now);
    this.#now = now;
  }

  get apart(): readonly Apart[] {
    return this.#setApart.all;
  }

  /** When a service that is set apart gets another try; null: none is. */
  get nextTrial(): Moment | null {
    return this.#setApart.nextTrial;
  }

  /** All that was wanted and went live last. */
  get live(): readonly Section[] {
    return this.#setApart.live;
  }

  /** What went live last of a service; empty: nothing did. */
  lastGood(service: string): readonly Section[] {
    return this.#setApart.lastGood(service);
  }

  get isReloading(): boolean {
    return this.#isReloading;
  }

  /** A reload takes a tenth of a second and more: it goes on after this has returned. */
  async reconcile(wish: Wish, signal: AbortSignal): Promise<Result | Reloading> {
    this.#reloadBegun = Promise.withResolvers();
    const result = this.#reconcile(wish, signal);
    const first = await Promise.race([result, this.#reloadBegun.promise]);
    return first.kind === 'begun' ? { kind: 'reloading', reasons: first.reasons, result } : first;
  }

  /** While a reload is under way: what of `rendered` commands can do in the process that serves. null: nothing. */
  meanwhile(rendered: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    return this.#meanwhile(this.#overridden(this.#setApart.substituted(rendered)), signal);
  }

  async #meanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const result = await this.#changes.meanwhile(wanted, signal);
    // Should the rest be refused, they are not to be taken back.
    if (result !== null) this.#setApart.serversWentLive(this.#control.running?.sections ?? [], result.backends);
    return result;
  }

  async #reconcile(wish: Wish, signal: AbortSignal): Promise<Result> {
    const { rendered, faulty } = wish;
    const setApart = this.#setApart;
    try {
      const unanswered = await this.#lookAtFound();
      if (unanswered !== null) return unanswered;
      setApart.putOnTrial(rendered);
      setApart.blame(rendered, faulty);
      for (;;) {
        const good = setApart.substituted(rendered);
        const wanted = this.#overridden(good);
        const isServing = this.#control.running !== null;
        // Started with nothing to serve, HAProxy would help nobody, and its file would replace one that may be good.
        if (!isServing && listens(rendered) && !listens(wanted))
          return {
            kind: 'rejected',
            problems: this.apart.flatMap(({ problems }) => problems),
            at: this.nextTrial ?? 0,
          };
        const result = await this.#attempt(wanted, wish, signal);
        if (result.kind === 'rejected' && setApart.blameRefused(rendered, result.problems, isServing)) continue;
        if ((result.kind === 'rejected' || result.kind === 'failed') && setApart.endTrials()) continue;
        if (result.kind === 'noop' || result.kind === 'runtime' || result.kind === 'reload') setApart.wentLive(good);
        return result;
      }
    } finally {
      this.#isReloading = false;
    }
  }

  /** Also what a service keeps that is set apart follows the operator. */
  #overridden(rendered: Rendered): Rendered {
    return overridden(rendered, this.#overrides());
  }

  async #attempt(wanted: Rendered, wish: Wish, signal: AbortSignal): Promise<Result> {
    const plan = this.#changes.plan(wanted, wish.requested);
    // After a reload that was refused: commands are for the reconcile that follows, not for beside `meanwhile`.
    if (this.#isReloading && plan.kind !== 'reload')
      return { kind: 'pending', reasons: [], because: 'free', at: this.#now() };
    if (plan.kind === 'reload') return this.#reload(wanted, plan.reasons, wish, signal);
    this.#wantedSince = null;
    return this.#change(wanted, plan, wish, signal);
  }

  /** What was found running must be known before anything is planned. null: it is. */
  async #lookAtFound(): Promise<Result | null> {
    try {
      await this.#changes.verifyFound();
      return null;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { kind: 'failed', error, reasons: [], at: this.#now() + retryAfterMs };
    }
  }

  /** By commands, or, where there are none, just on disk. */
  async #change(
    wanted: Rendered,
    plan: Exclude<Plan, { readonly kind: 'reload' }>,
    wish: Wish,
    signal: AbortSignal,
  ): Promise<Result> {
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const outcome = await this.#changes.apply(wanted, commands, signal);
    switch (outcome.kind) {
      case 'applied':
        return commands.length === 0 ? { kind: 'noop' } : runtimeResult(commands, outcome.tookMs);
      case 'unexpected':
      case 'superseded':
        return this.#attempt(wanted, wish, signal);
      case 'refused':
        return this.#refuse(wanted, outcome.problems);
      case 'failed':
        return { kind: 'failed', error: outcome.error, reasons: [], at: this.#now() + retryAfterMs };
    }
  }

  async #reload(
    wanted: Rendered,
    reasons: readonly ReloadReason[],
    { onMeanwhile }: Wish,
    signal: AbortSignal,
  ): Promise<Result> {
    const control = this.#control;
    const now = this.#now();
    this.#wantedSince ??= now;
    // Servers do not wait for it, whatever becomes of it. Once it has begun, `meanwhile` sees to them.
    const meanwhile = this.#isReloading ? null : await this.#meanwhile(wanted, signal);
    if (meanwhile !== null) onMeanwhile(meanwhile);
    const about = { reasons, sections: [...(control.running?.sections ?? []), ...wanted.sections] };
    const turn = this.#budget.turn(control.reloadAt(wanted, this.#wantedSince), about);
    if (turn.at > now) return { kind: 'pending', reasons, because: turn.because, at: turn.at };
    const refusal = this.#refusal;
    if (refusal !== null && refusal.retryAt > now && sameText(refusal.sections, wanted.sections))
      return { kind: 'rejected', problems: refusal.problems, at: refusal.retryAt };

    this.#isReloading = true;
    this.#reloadBegun.resolve({ kind: 'begun', reasons });
    const outcome = await control.apply(wanted, { kind: 'reload', reasons }, signal);
    switch (outcome.kind) {
      case 'applied':
        this.#wantedSince = null;
        this.#refusal = null;
        this.#budget.spend(turn, about, this.#now());
        await this.#changes.reloaded(wanted);
        return { kind: 'reload', reasons, tookMs: outcome.tookMs };
      case 'refused':
        return this.#refuse(wanted, outcome.problems);
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null)) return this.#refuse(wanted, outcome.problems);
        const { at } = control.reloadAt(wanted, this.#wantedSince);
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#now() + retryAfterMs) };
      }
      case 'unexpected':
      case 'superseded':
        throw new TypeError(`a reload cannot be ${outcome.kind}`);
    }
  }

  #refuse(wanted: Rendered, problems: readonly Problem[]): Result {
    const again = this.#refusal !== null && sameText(this.#refusal.sections, wanted.sections);
    const attempts = again ? (this.#refusal?.attempts ?? 0) + 1 : 1;
    const retryAt = this.#now() + backOff(attempts);
    this.#refusal = { sections: wanted.sections, problems, attempts, retryAt };
    return { kind: 'rejected', problems, at: retryAt };
  }
}

/** Whether any service can be reached by itself. */
function listens({ sections }: Rendered): boolean {
  return sections.some(({ kind, service }) => kind === 'frontend' && service !== null);
}
