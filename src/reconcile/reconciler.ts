/**
 * One reconcile: plans what it takes to bring what runs to what is desired, and has it applied. A service that is at fault
 * goes into quarantine: it keeps its last good sections, or an empty backend of its name, and the others go live.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import { type KeptFiles, nothingKept } from '../apply/files/kept-files.ts';
import { AppError } from '../errors.ts';
import { type BackOff, backOff, isSameFailure } from '../haproxy/text/back-off.ts';
import { sameStructure } from '../haproxy/text/structure.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../model.ts';
import { CrashLoop } from './crash-loop.ts';
import { OfferBudget } from './offer-budget.ts';
import { type Overrides, overridden } from './overrides.ts';
import { Quarantine, type Quarantined } from './quarantine.ts';
import { pace } from './quarantine-state.ts';
import { nextReloadState, type ReloadEvent, type ReloadState } from './reload-state.ts';
import type { Reloading, Result } from './result.ts';
import { type RuntimeResult, type RuntimeUpdater, runtimeResult } from './runtime-updater.ts';

/** Nothing came of it. */
type Left = Extract<Result, { readonly kind: 'rejected' | 'failed' }>;

/** By HAProxy or the preflight; whose fault it is has yet to be found out. */
type Refused = { readonly kind: 'refused'; readonly problems: readonly Problem[] };

export type Desired = {
  readonly rendered: Rendered;
  /** Services that could not be rendered. */
  readonly faulty: readonly Problem[];
  /** What an operator asked for. */
  readonly requested: readonly ReloadReason[];
  /** Told of what commands did while the rest has to wait for a reload. */
  readonly onMeanwhile: (result: RuntimeResult) => void;
};

const retryAfterMs: Ms = 1000;

export class Reconciler {
  readonly #driver: ManagedDriver;
  readonly #updater: RuntimeUpdater;
  readonly #budget: OfferBudget;
  readonly #files: KeptFiles;
  readonly #quarantine: Quarantine;
  readonly #overrides: () => Overrides;
  readonly #now: () => Moment;
  #reload: ReloadState = { kind: 'idle', refusal: null };
  /** What was live last did not start either. */
  #lastResort: BackOff | null = null;
  readonly #crashLoop = new CrashLoop();
  #isFoundKept = false;
  #reloadBegun = Promise.withResolvers<{ readonly kind: 'begun'; readonly reasons: readonly ReloadReason[] }>();

  constructor(
    driver: ManagedDriver,
    updater: RuntimeUpdater,
    overrides: () => Overrides,
    now: () => Moment,
    budget: OfferBudget = new OfferBudget(() => 0),
    files: KeptFiles = nothingKept,
  ) {
    this.#driver = driver;
    this.#overrides = overrides;
    this.#updater = updater;
    this.#budget = budget;
    this.#quarantine = new Quarantine(driver.running?.sections ?? driver.found, now, files);
    this.#files = files;
    this.#now = now;
  }

  get quarantined(): readonly Quarantined[] {
    return this.#quarantine.all;
  }

  /** When a service in quarantine gets another try; null: none is to get one. */
  get nextRetry(): Moment | null {
    return this.#quarantine.nextRetry;
  }

  /** All that was desired and went live last. */
  get live(): readonly Section[] {
    return this.#quarantine.live;
  }

  /** Something else than servers has changed, in the config or the templates: what was refused is tried as soon as may be. */
  retrySoon(): void {
    this.#quarantine.retrySoon();
    this.#note({ kind: 'retry_soon' });
  }

  get isReloading(): boolean {
    return this.#reload.kind === 'reloading';
  }

  #note(event: ReloadEvent): void {
    this.#reload = nextReloadState(this.#reload, event);
  }

  /** A reload takes a tenth of a second and more: it goes on after this has returned. */
  async reconcile(desired: Desired, signal: AbortSignal): Promise<Result | Reloading> {
    this.#reloadBegun = Promise.withResolvers();
    const result = this.#reconcile(desired, signal);
    const first = await Promise.race([result, this.#reloadBegun.promise]);
    return first.kind === 'begun' ? { kind: 'reloading', reasons: first.reasons, result } : first;
  }

  /** While a reload is under way: what of it commands can do in the process that serves. null: nothing. */
  meanwhile(desired: Pick<Desired, 'rendered' | 'faulty'>, signal: AbortSignal): Promise<RuntimeResult | null> {
    const ofHeld = this.#ofHeld(desired);
    const follow = new Set(ofHeld.map(({ service }) => service));
    const others = this.#quarantine
      .substituted(desired.rendered)
      .sections.filter(({ service }) => !follow.has(service));
    return this.#meanwhile(this.#overridden({ sections: [...others, ...ofHeld] }), signal);
  }

  async #meanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const result = await this.#updater.meanwhile(wanted, signal);
    // Should the rest be refused, they are not to be taken back.
    if (result !== null) this.#quarantine.serversWentLive(this.#driver.running?.sections ?? [], result.backends);
    return result;
  }

  /** The sections of services that are set apart, as they are wanted: their servers follow all the same. */
  #ofHeld({ rendered, faulty }: Pick<Desired, 'rendered' | 'faulty'>): readonly Section[] {
    // In the place of one that could not be rendered there is nothing to follow.
    const isFaulty = new Set(faulty.map(({ service }) => service));
    const sections = this.#quarantine.withTheirFiles(rendered);
    return sections.filter(({ service }) => this.#quarantine.isHeld(service) && !isFaulty.has(service));
  }

  async #reconcile(desired: Desired, signal: AbortSignal): Promise<Result> {
    this.#crashLoop.note(this.#driver.crash, this.#driver.running, this.#now());
    try {
      const result = await this.#pursue(desired, signal);
      const isLeft = (result.kind === 'rejected' || result.kind === 'failed') && this.#driver.running === null;
      return isLeft ? await this.#serveLast(result, desired, signal) : result;
    } finally {
      this.#note({ kind: 'ended' });
    }
  }

  /** HAProxy has ended, and what is wanted cannot take its place: what went live last, or lived, serves until it can. */
  async #serveLast(result: Left, desired: Desired, signal: AbortSignal): Promise<Result> {
    const { sections } = this.#quarantine.substituted(desired.rendered);
    const rendered = { sections: this.#crashLoop.of(sections, this.#now())?.instead ?? this.#quarantine.live };
    if (rendered.sections.length === 0 || sameStructure(rendered.sections, desired.rendered.sections)) return result;
    const pause = isSameFailure(this.#lastResort, rendered.sections) ? this.#lastResort.until : 0;
    if (pause > this.#now()) return { ...result, at: Math.min(result.at, pause) };
    const last = await this.#attempt(this.#overridden(rendered), { ...desired, rendered }, signal);
    if (last.kind === 'reload') {
      this.#lastResort = null;
      return last;
    }
    if (last.kind === 'pending') return { ...result, at: Math.min(result.at, last.at) };
    this.#lastResort = backOff(this.#lastResort, rendered.sections, this.#now(), pace);
    return { ...result, at: Math.min(result.at, this.#lastResort.until) };
  }

  async #pursue(desired: Desired, signal: AbortSignal): Promise<Result> {
    const { rendered, faulty } = desired;
    const quarantine = this.#quarantine;
    const unanswered = await this.#lookAtFound();
    if (unanswered !== null) return unanswered;
    quarantine.begin(rendered);
    quarantine.attribute(rendered, faulty);
    const ofHeld = this.#ofHeld(desired);
    let followed = ofHeld.length === 0 ? null : await this.#meanwhile(this.#overridden({ sections: ofHeld }), signal);
    for (let problems: readonly Problem[] = []; ; ) {
      const good = quarantine.substituted(rendered);
      const wanted = this.#overridden(good);
      const isServing = this.#driver.running !== null;
      // Started with nothing to serve, HAProxy would help nobody, and its file would replace one that may be good.
      if (!isServing && listens(rendered) && !listens(wanted)) return this.#nothingToServe(rendered, problems);
      const result = await this.#attempt(wanted, desired, signal);
      if (followed !== null && result.kind !== 'noop') {
        desired.onMeanwhile(followed);
        followed = null;
      }
      switch (result.kind) {
        case 'refused':
          problems = result.problems;
          if (quarantine.attributeRefusal(rendered, good, problems, isServing) || quarantine.endRetries()) continue;
          quarantine.release();
          return this.#refuse(rendered, problems);
        case 'failed':
          if (quarantine.endRetries()) continue;
          return result;
        case 'noop':
        case 'runtime':
          await this.#checkRetried(rendered, good, signal);
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
  async #checkRetried(rendered: Rendered, good: Rendered, signal: AbortSignal): Promise<void> {
    const problems = this.#quarantine.isUnproven ? await this.#driver.check(good, signal).catch(asProblem) : [];
    this.#quarantine.attribute(rendered, problems);
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
    if (this.#quarantine.release()) return this.#refuse(rendered, problems);
    const its = this.quarantined.flatMap((one) => one.problems);
    return { kind: 'rejected', problems: its, at: this.nextRetry ?? this.#now() + retryAfterMs };
  }

  async #attempt(wanted: Rendered, desired: Desired, signal: AbortSignal): Promise<Result | Refused> {
    const plan = this.#updater.plan(wanted, desired.requested);
    // After a reload that was refused: commands are for the reconcile that follows, not for beside `meanwhile`.
    if (this.isReloading && plan.kind !== 'reload') return { kind: 'postponed' };
    if (plan.kind === 'reload') return this.#reloadTo(wanted, plan.reasons, desired, signal);
    this.#note({ kind: 'not_needed' });
    return this.#change(wanted, plan, desired, signal);
  }

  /** What was found running must be known before anything is planned. null: it is. */
  async #lookAtFound(): Promise<Result | null> {
    try {
      await this.#updater.verifyFound();
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
    desired: Desired,
    signal: AbortSignal,
  ): Promise<Result | Refused> {
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const outcome = await this.#updater.apply(wanted, commands, signal);
    switch (outcome.kind) {
      case 'applied':
        return commands.length === 0 ? { kind: 'noop' } : runtimeResult(commands, outcome.tookMs);
      case 'unexpected':
      case 'superseded':
        return this.#attempt(wanted, desired, signal);
      case 'refused':
        return { kind: 'refused', problems: outcome.problems };
      case 'failed':
        return { kind: 'failed', error: outcome.error, reasons: [], at: this.#now() + retryAfterMs };
    }
  }

  async #reloadTo(
    wanted: Rendered,
    reasons: readonly ReloadReason[],
    { rendered, onMeanwhile }: Desired,
    signal: AbortSignal,
  ): Promise<Result | Refused> {
    const driver = this.#driver;
    const now = this.#now();
    this.#note({ kind: 'needed', now });
    // Servers do not wait for it, whatever becomes of it. Once it has begun, `meanwhile` sees to them.
    const meanwhile = this.isReloading ? null : await this.#meanwhile(wanted, signal);
    if (meanwhile !== null) onMeanwhile(meanwhile);
    const isOrdered = reasons.some(({ code }) => code === 'operator_request');
    const crashed = isOrdered ? null : this.#crashLoop.of(wanted.sections, now);
    if (crashed !== null) return { kind: 'rejected', problems: crashed.problems, at: crashed.until };
    const about = { reasons, sections: [...(driver.running?.sections ?? []), ...wanted.sections] };
    const slot = this.#budget.slot(driver.reloadAt(wanted, this.#neededSince(now)), about);
    if (slot.at > now) return { kind: 'pending', reasons, because: slot.because, at: slot.at };
    const refused = this.isReloading ? null : this.#refusedBefore(rendered, reasons, now);
    if (refused !== null) return refused;

    this.#note({ kind: 'begun', now });
    this.#reloadBegun.resolve({ kind: 'begun', reasons });
    const outcome = await this.#files.during(
      wanted.sections,
      () => driver.apply(wanted, { kind: 'reload', reasons }, signal),
      ({ kind }) => kind === 'applied',
    );
    switch (outcome.kind) {
      case 'applied':
        this.#note({ kind: 'live' });
        this.#budget.spend(slot, about, this.#now());
        await this.#updater.reloaded(wanted);
        return { kind: 'reload', reasons, tookMs: outcome.tookMs };
      case 'refused':
        return { kind: 'refused', problems: outcome.problems };
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null))
          return { kind: 'refused', problems: outcome.problems };
        const { at } = driver.reloadAt(wanted, this.#neededSince(now));
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#now() + retryAfterMs) };
      }
      case 'superseded':
        return { kind: 'postponed' };
      case 'unexpected':
        throw new TypeError(`a reload cannot be ${outcome.kind}`);
    }
  }

  /** What was refused not long ago is not tried again yet, and nothing else at once. null: nothing stands against a try. */
  #refusedBefore({ sections }: Rendered, reasons: readonly ReloadReason[], now: Moment): Result | null {
    const { refusal } = this.#reload;
    if (refusal === null) return null;
    const { until, failedAt, problems } = refusal;
    if (isSameFailure(refusal, sections)) return until > now ? { kind: 'rejected', problems, at: until } : null;
    // Where nothing serves, what was not tried yet is worth a try at once.
    const at = failedAt + pace.shortestMs;
    return this.#driver.running !== null && at > now ? { kind: 'pending', reasons, because: 'back_off', at } : null;
  }

  #refuse({ sections }: Rendered, problems: readonly Problem[]): Result {
    this.#note({ kind: 'refused', sections, problems, now: this.#now() });
    return { kind: 'rejected', problems, at: this.#reload.refusal?.until ?? this.#now() };
  }

  #neededSince(now: Moment): Moment {
    return this.#reload.kind === 'idle' ? now : this.#reload.since;
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
