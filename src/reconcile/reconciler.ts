/**
 * One reconcile: render what should be, plan what it takes, have it applied. A service that is at fault is set apart
 * here: it keeps its last good sections, or an empty backend of its name, and the others go live.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import { type KeptFiles, nothingKept } from '../apply/files/kept-files.ts';
import { AppError } from '../errors.ts';
import { sameStructure } from '../haproxy/text/structure.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../model.ts';
import { OfferBudget } from './offer-budget.ts';
import { type Overrides, overridden } from './overrides.ts';
import { backOff, Quarantine, type Quarantined, shortestRetryMs } from './quarantine.ts';
import { type RuntimeResult, type RuntimeUpdater, runtimeResult } from './runtime-updater.ts';

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
  /** What is left to be done is seen to by the reconcile that follows at once. */
  | { readonly kind: 'postponed' }
  /** HAProxy or the preflight refuses it and no service can be set apart for it: what runs is left as it is. */
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[]; readonly at: Moment }
  /** It could not be written or started: what runs is left as it is. */
  | {
      readonly kind: 'failed';
      readonly error: AppError;
      readonly reasons: readonly ReloadReason[];
      readonly at: Moment;
    };

/** Nothing came of it. */
type Left = Extract<Result, { readonly kind: 'rejected' | 'failed' }>;

/** By HAProxy or the preflight; whose fault it is has yet to be found out. */
type Refused = { readonly kind: 'refused'; readonly problems: readonly Problem[] };

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

/** What was refused and is nobody's fault, and when the same structure gets another try: what is amiss may lie outside it. */
type Refusal = {
  readonly sections: readonly Section[];
  readonly problems: readonly Problem[];
  readonly attempts: number;
  readonly triedAt: Moment;
  readonly retryAt: Moment;
};

const retryAfterMs: Ms = 1000;

const untried = { attempts: 0, retryAt: 0 };

export class Reconciler {
  readonly #driver: ManagedDriver;
  readonly #changes: RuntimeUpdater;
  readonly #budget: OfferBudget;
  readonly #files: KeptFiles;
  readonly #quarantine: Quarantine;
  readonly #overrides: () => Overrides;
  readonly #now: () => Moment;
  #refusal: Refusal | null = null;
  /** How often in a row what was live last did not start either, and when it is tried again. */
  #lastResort = untried;
  #isFoundKept = false;
  /** Since when something is wanted that only a reload can do. */
  #wantedSince: Moment | null = null;
  #reloadBegun = Promise.withResolvers<{ readonly kind: 'begun'; readonly reasons: readonly ReloadReason[] }>();
  #isReloading = false;

  constructor(
    control: ManagedDriver,
    changes: RuntimeUpdater,
    overrides: () => Overrides,
    now: () => Moment,
    budget: OfferBudget = new OfferBudget(() => 0),
    files: KeptFiles = nothingKept,
  ) {
    this.#driver = control;
    this.#overrides = overrides;
    this.#changes = changes;
    this.#budget = budget;
    this.#quarantine = new Quarantine(control.running?.sections ?? control.found, now, files);
    this.#files = files;
    this.#now = now;
  }

  get apart(): readonly Quarantined[] {
    return this.#quarantine.all;
  }

  /** When a service that is set apart gets another try; null: none is. */
  get nextTrial(): Moment | null {
    return this.#quarantine.nextTrial;
  }

  /** All that was wanted and went live last. */
  get live(): readonly Section[] {
    return this.#quarantine.live;
  }

  /** Something else than servers has changed, in the config or the templates: what was refused is tried as soon as may be. */
  retrySoon(): void {
    this.#quarantine.retrySoon();
    if (this.#refusal !== null) this.#refusal = { ...this.#refusal, retryAt: this.#refusal.triedAt + shortestRetryMs };
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

  /** While a reload is under way: what of it commands can do in the process that serves. null: nothing. */
  meanwhile(wish: Pick<Wish, 'rendered' | 'faulty'>, signal: AbortSignal): Promise<RuntimeResult | null> {
    const ofHeld = this.#ofHeld(wish);
    const follow = new Set(ofHeld.map(({ service }) => service));
    const others = this.#quarantine.substituted(wish.rendered).sections.filter(({ service }) => !follow.has(service));
    return this.#meanwhile(this.#overridden({ sections: [...others, ...ofHeld] }), signal);
  }

  async #meanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const result = await this.#changes.meanwhile(wanted, signal);
    // Should the rest be refused, they are not to be taken back.
    if (result !== null) this.#quarantine.serversWentLive(this.#driver.running?.sections ?? [], result.backends);
    return result;
  }

  /** The sections of services that are set apart, as they are wanted: their servers follow all the same. */
  #ofHeld({ rendered, faulty }: Pick<Wish, 'rendered' | 'faulty'>): readonly Section[] {
    // In the place of one that could not be rendered there is nothing to follow.
    const isFaulty = new Set(faulty.map(({ service }) => service));
    const sections = this.#quarantine.withTheirFiles(rendered);
    return sections.filter(({ service }) => this.#quarantine.isHeld(service) && !isFaulty.has(service));
  }

  async #reconcile(wish: Wish, signal: AbortSignal): Promise<Result> {
    try {
      const result = await this.#pursue(wish, signal);
      const isLeft = (result.kind === 'rejected' || result.kind === 'failed') && this.#driver.running === null;
      return isLeft ? await this.#serveLast(result, wish, signal) : result;
    } finally {
      this.#isReloading = false;
    }
  }

  /** HAProxy has ended, and what is wanted cannot take its place: what went live last serves until it can. */
  async #serveLast(result: Left, wish: Wish, signal: AbortSignal): Promise<Result> {
    const rendered = { sections: this.#quarantine.live };
    if (rendered.sections.length === 0 || sameStructure(rendered.sections, wish.rendered.sections)) return result;
    const { attempts, retryAt } = this.#lastResort;
    if (retryAt > this.#now()) return { ...result, at: Math.min(result.at, retryAt) };
    const last = await this.#attempt(this.#overridden(rendered), { ...wish, rendered }, signal);
    if (last.kind === 'reload') {
      this.#lastResort = untried;
      return last;
    }
    if (last.kind === 'pending') return { ...result, at: Math.min(result.at, last.at) };
    this.#lastResort = { attempts: attempts + 1, retryAt: this.#now() + backOff(attempts + 1) };
    return { ...result, at: Math.min(result.at, this.#lastResort.retryAt) };
  }

  async #pursue(wish: Wish, signal: AbortSignal): Promise<Result> {
    const { rendered, faulty } = wish;
    const quarantine = this.#quarantine;
    const unanswered = await this.#lookAtFound();
    if (unanswered !== null) return unanswered;
    quarantine.retryDue(rendered);
    quarantine.blame(rendered, faulty);
    const ofHeld = this.#ofHeld(wish);
    let followed = ofHeld.length === 0 ? null : await this.#meanwhile(this.#overridden({ sections: ofHeld }), signal);
    for (let problems: readonly Problem[] = []; ; ) {
      const good = quarantine.substituted(rendered);
      const wanted = this.#overridden(good);
      const isServing = this.#driver.running !== null;
      // Started with nothing to serve, HAProxy would help nobody, and its file would replace one that may be good.
      if (!isServing && listens(rendered) && !listens(wanted)) return this.#nothingToServe(rendered, problems);
      const result = await this.#attempt(wanted, wish, signal);
      if (followed !== null && result.kind !== 'noop') {
        wish.onMeanwhile(followed);
        followed = null;
      }
      switch (result.kind) {
        case 'refused':
          problems = result.problems;
          if (quarantine.blameRefused(rendered, good, problems, isServing) || quarantine.endTrials()) continue;
          quarantine.acquit();
          return this.#refuse(rendered, problems);
        case 'failed':
          if (quarantine.endTrials()) continue;
          return result;
        case 'noop':
        case 'runtime':
          await this.#prove(rendered, good, signal);
          await this.#keepFound(good, signal);
          return followed ?? result;
        case 'reload':
          quarantine.wentLive(good, true);
          return result;
        case 'pending':
        case 'postponed':
        case 'rejected':
          return result;
      }
    }
  }

  /** Also what a service keeps that is set apart follows the operator. */
  #overridden(rendered: Rendered): Rendered {
    return overridden(rendered, this.#overrides());
  }

  /** What was refused and is what runs may be refused still: it would be at the next reload. */
  async #prove(rendered: Rendered, good: Rendered, signal: AbortSignal): Promise<void> {
    const problems = this.#quarantine.isUnproved ? await this.#driver.check(good, signal).catch(asProblem) : [];
    this.#quarantine.blame(rendered, problems);
    this.#quarantine.wentLive(good, problems.length === 0);
  }

  /** What was found running names files as well: those that HAProxy would take now are as good. */
  async #keepFound(good: Rendered, signal: AbortSignal): Promise<void> {
    if (this.#isFoundKept) return;
    this.#isFoundKept = true;
    if (!this.#files.lacksSome(good.sections)) return;
    const check = () => this.#driver.check(good, signal).catch(asProblem);
    await this.#files.during(good.sections, check, (problems) => problems.length === 0);
  }

  #nothingToServe(rendered: Rendered, problems: readonly Problem[]): Result {
    if (this.#quarantine.acquit()) return this.#refuse(rendered, problems);
    const its = this.apart.flatMap((one) => one.problems);
    return { kind: 'rejected', problems: its, at: this.nextTrial ?? this.#now() + retryAfterMs };
  }

  async #attempt(wanted: Rendered, wish: Wish, signal: AbortSignal): Promise<Result | Refused> {
    const plan = this.#changes.plan(wanted, wish.requested);
    // After a reload that was refused: commands are for the reconcile that follows, not for beside `meanwhile`.
    if (this.#isReloading && plan.kind !== 'reload') return { kind: 'postponed' };
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
  ): Promise<Result | Refused> {
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const outcome = await this.#changes.apply(wanted, commands, signal);
    switch (outcome.kind) {
      case 'applied':
        return commands.length === 0 ? { kind: 'noop' } : runtimeResult(commands, outcome.tookMs);
      case 'unexpected':
      case 'superseded':
        return this.#attempt(wanted, wish, signal);
      case 'refused':
        return { kind: 'refused', problems: outcome.problems };
      case 'failed':
        return { kind: 'failed', error: outcome.error, reasons: [], at: this.#now() + retryAfterMs };
    }
  }

  async #reload(
    wanted: Rendered,
    reasons: readonly ReloadReason[],
    { rendered, onMeanwhile }: Wish,
    signal: AbortSignal,
  ): Promise<Result | Refused> {
    const control = this.#driver;
    const now = this.#now();
    this.#wantedSince ??= now;
    // Servers do not wait for it, whatever becomes of it. Once it has begun, `meanwhile` sees to them.
    const meanwhile = this.#isReloading ? null : await this.#meanwhile(wanted, signal);
    if (meanwhile !== null) onMeanwhile(meanwhile);
    const about = { reasons, sections: [...(control.running?.sections ?? []), ...wanted.sections] };
    const slot = this.#budget.slot(control.reloadAt(wanted, this.#wantedSince), about);
    if (slot.at > now) return { kind: 'pending', reasons, because: slot.because, at: slot.at };
    const refusal = this.#refusal;
    if (refusal !== null && !this.#isReloading) {
      const { triedAt, retryAt, problems } = refusal;
      const isKnown = sameStructure(refusal.sections, rendered.sections);
      if (isKnown && retryAt > now) return { kind: 'rejected', problems, at: retryAt };
      // Where nothing serves, what was not tried yet is worth a try at once.
      const soonest = triedAt + shortestRetryMs;
      if (!isKnown && control.running !== null && soonest > now)
        return { kind: 'pending', reasons, because: 'back_off', at: soonest };
    }

    this.#isReloading = true;
    this.#reloadBegun.resolve({ kind: 'begun', reasons });
    const outcome = await this.#files.during(
      wanted.sections,
      () => control.apply(wanted, { kind: 'reload', reasons }, signal),
      ({ kind }) => kind === 'applied',
    );
    switch (outcome.kind) {
      case 'applied':
        this.#wantedSince = null;
        this.#refusal = null;
        this.#budget.spend(slot, about, this.#now());
        await this.#changes.reloaded(wanted);
        return { kind: 'reload', reasons, tookMs: outcome.tookMs };
      case 'refused':
        return { kind: 'refused', problems: outcome.problems };
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null))
          return { kind: 'refused', problems: outcome.problems };
        const { at } = control.reloadAt(wanted, this.#wantedSince);
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#now() + retryAfterMs) };
      }
      case 'superseded':
        return { kind: 'postponed' };
      case 'unexpected':
        throw new TypeError(`a reload cannot be ${outcome.kind}`);
    }
  }

  #refuse({ sections }: Rendered, problems: readonly Problem[]): Result {
    const again = this.#refusal !== null && sameStructure(this.#refusal.sections, sections);
    const attempts = again ? (this.#refusal?.attempts ?? 0) + 1 : 1;
    const triedAt = this.#now();
    const retryAt = triedAt + backOff(attempts);
    this.#refusal = { sections, problems, attempts, triedAt, retryAt };
    return { kind: 'rejected', problems, at: retryAt };
  }
}

/** Who cannot be asked has not said that it is good. */
function asProblem(error: unknown): readonly Problem[] {
  if (!(error instanceof AppError)) throw error;
  return [{ message: error.message, service: null, code: error.code }];
}

/** Whether any service can be reached by itself. */
function listens({ sections }: Rendered): boolean {
  return sections.some(({ kind, service }) => kind === 'frontend' && service !== null);
}
