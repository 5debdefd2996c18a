/**
 * Runs one reconcile: the rollout plans and applies the desired sections. A service at fault goes into quarantine: it keeps its
 * last good sections, or an empty backend of its name, and the other services go live.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import { type KeptFiles, nothingKept } from '../apply/files/kept-files.ts';
import { AppError } from '../errors.ts';
import { type BackOff, backOff, isSameFailure } from '../haproxy/text/back-off.ts';
import { sameStructure } from '../haproxy/text/structure.ts';
import { serverLines } from '../haproxy/text/text.ts';
import type { Moment, Ms, Problem, Rendered, Section } from '../model.ts';
import type { RenderResult } from '../render/render.ts';
import { OfferBudget } from './offer-budget.ts';
import { type Overrides, overridden } from './overrides/overrides.ts';
import { CrashLoop } from './quarantine/crash-loop.ts';
import { Quarantine, type Quarantined } from './quarantine/quarantine.ts';
import { pace } from './quarantine/state.ts';
import type { Result, RuntimeResult } from './result.ts';
import { type Desired, Rollout } from './rollout.ts';
import type { RuntimeUpdater } from './runtime/runtime-updater.ts';

/** A result by which nothing went live. */
type Left = Extract<Result, { readonly kind: 'rejected' | 'failed' }>;

const retryAfterMs: Ms = 1000;

export class Reconciler {
  readonly #driver: ManagedDriver;
  readonly #updater: RuntimeUpdater;
  readonly #rollout: Rollout;
  readonly #files: KeptFiles;
  readonly #quarantine: Quarantine;
  readonly #overrides: () => Overrides;
  readonly #now: () => Moment;
  /** Set where the config that was live last did not start either. */
  #lastResort: BackOff | null = null;
  readonly #crashLoop = new CrashLoop();
  #isFoundKept = false;
  readonly #locate: (problem: Problem) => Problem;

  constructor(
    driver: ManagedDriver,
    updater: RuntimeUpdater,
    overrides: () => Overrides,
    now: () => Moment,
    budget: OfferBudget = new OfferBudget(() => 0),
    files: KeptFiles = nothingKept,
    locate: (problem: Problem) => Problem = (problem) => problem,
  ) {
    this.#driver = driver;
    this.#overrides = overrides;
    this.#updater = updater;
    this.#quarantine = new Quarantine(driver.running?.sections ?? driver.found, now, files);
    this.#rollout = new Rollout({
      driver,
      updater,
      budget,
      files,
      now,
      live: this.#quarantine,
      crashLoop: this.#crashLoop,
    });
    this.#files = files;
    this.#now = now;
    this.#locate = locate;
  }

  get quarantined(): readonly Quarantined[] {
    return this.#quarantine.all;
  }

  /** When a service in quarantine is tried again; null: none is. */
  get nextRetry(): Moment | null {
    return this.#quarantine.nextRetry;
  }

  /** The desired sections that went live last. */
  get live(): readonly Section[] {
    return this.#quarantine.live;
  }

  /** The config or the templates have changed, so what was refused is tried again soon. */
  retrySoon(): void {
    this.#quarantine.retrySoon();
    this.#rollout.retrySoon();
  }

  get isReloading(): boolean {
    return this.#rollout.isReloading;
  }

  /** Ends when the reload has ended, where there is one. */
  async reconcile(desired: Desired, signal: AbortSignal): Promise<Result> {
    this.#crashLoop.note(this.#driver.crash, this.#driver.running, this.#now());
    try {
      const result = await this.#pursue(desired, signal);
      const isLeft = (result.kind === 'rejected' || result.kind === 'failed') && this.#driver.running === null;
      return isLeft ? await this.#serveLast(result, desired, signal) : result;
    } finally {
      this.#rollout.end();
    }
  }

  /** Sends commands to the process that still serves, while a reload is under way. null: there were none. */
  meanwhile(rendered: RenderResult, signal: AbortSignal): Promise<RuntimeResult | null> {
    const { sections } = this.#quarantine.substituted(rendered);
    const wanted = withReplaced(sections, this.#ofHeld(rendered));
    return this.#rollout.meanwhile(this.#overridden({ sections: wanted }), signal);
  }

  /** Sends what commands can do for services in quarantine; everything else stays as it runs. null: there was nothing. */
  async #followHeld(rendered: RenderResult, signal: AbortSignal): Promise<RuntimeResult | null> {
    const { runtime } = this.#driver;
    const { sections: ofHeld } = this.#overridden({ sections: this.#ofHeld(rendered) });
    if (runtime === null || ofHeld.length === 0) return null;
    return this.#rollout.meanwhile({ sections: withReplaced(runtime.running.sections, ofHeld) }, signal);
  }

  /** The desired sections of services in quarantine, whose servers still change by commands. */
  #ofHeld(rendered: RenderResult): readonly Section[] {
    // A backend that could not be rendered has no servers.
    const lacksBackend = new Set(rendered.problems.flatMap(({ service, hasBackend }) => (hasBackend ? [] : [service])));
    const sections = this.#quarantine.withTheirFiles(rendered);
    return sections.filter(({ service }) => this.#quarantine.isHeld(service) && !lacksBackend.has(service));
  }

  /** HAProxy has ended and the desired config does not start: starts the config that was live last. */
  async #serveLast(result: Left, desired: Desired, signal: AbortSignal): Promise<Result> {
    const { sections } = this.#quarantine.substituted(desired.rendered);
    const instead = this.#crashLoop.of(sections, this.#now())?.instead ?? this.#quarantine.live;
    const rendered = { sections: instead, problems: [] };
    if (rendered.sections.length === 0 || sameStructure(rendered.sections, desired.rendered.sections)) return result;
    const pause = isSameFailure(this.#lastResort, rendered.sections) ? this.#lastResort.until : 0;
    if (pause > this.#now()) return { ...result, at: Math.min(result.at, pause) };
    const last = await this.#rollout.attempt(this.#overridden(rendered), { ...desired, rendered }, signal);
    if (last.kind === 'reload') {
      this.#lastResort = null;
      return last;
    }
    if (last.kind === 'pending') return { ...result, at: Math.min(result.at, last.at) };
    this.#lastResort = backOff(this.#lastResort, rendered.sections, this.#now(), pace);
    return { ...result, at: Math.min(result.at, this.#lastResort.until) };
  }

  async #pursue(desired: Desired, signal: AbortSignal): Promise<Result> {
    const { rendered } = desired;
    const quarantine = this.#quarantine;
    const unanswered = await this.#lookAtFound();
    if (unanswered !== null) return unanswered;
    quarantine.begin(rendered);
    quarantine.attribute(rendered, rendered.problems);
    let followed = await this.#followHeld(rendered, signal);
    for (let problems: readonly Problem[] = []; ; ) {
      const good = quarantine.substituted(rendered);
      const wanted = this.#overridden(good);
      const isServing = this.#driver.running !== null;
      // An HAProxy that serves nothing is of no use, and its file would replace one that may be good.
      const shallServe = listens(rendered) || rendered.problems.length > 0;
      if (!isServing && shallServe && !listens(wanted) && !serves(wanted))
        return this.#nothingToServe(rendered, problems);
      const result = await this.#rollout.attempt(wanted, desired, signal);
      if (followed !== null && result.kind !== 'noop') {
        desired.onMeanwhile(followed);
        followed = null;
      }
      switch (result.kind) {
        case 'refused':
          problems = result.problems.map(this.#locate);
          if (quarantine.attributeRefusal(rendered, good, problems, isServing) || quarantine.endRetries()) continue;
          quarantine.release();
          return this.#rollout.refuse(rendered, problems);
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

  /** Overrides also hold for the last good sections of services in quarantine. */
  #overridden(rendered: Rendered): Rendered {
    return overridden(rendered, this.#overrides());
  }

  /** Checks a config that was refused and now runs by commands: HAProxy may still refuse it at the next reload. */
  async #checkRetried(rendered: Rendered, good: Rendered, signal: AbortSignal): Promise<void> {
    const problems = this.#quarantine.needsCheck ? await this.#driver.check(good, signal).catch(asProblem) : [];
    this.#quarantine.attribute(rendered, problems.map(this.#locate));
    this.#quarantine.wentLive(good, problems.length === 0);
  }

  /** Keeps copies of the files that the config found at the start names, where HAProxy accepts them now. */
  async #keepFound(good: Rendered, signal: AbortSignal): Promise<void> {
    if (this.#isFoundKept) return;
    this.#isFoundKept = true;
    if (!this.#files.lacksSome(good.sections)) return;
    const check = () => this.#driver.check(good, signal).catch(asProblem);
    await this.#files.during(good.sections, check, (problems) => problems.length === 0);
  }

  #nothingToServe(rendered: Rendered, problems: readonly Problem[]): Result {
    if (this.#quarantine.release()) return this.#rollout.refuse(rendered, problems);
    const its = this.quarantined.flatMap((one) => one.problems);
    return { kind: 'rejected', problems: its, at: this.nextRetry ?? this.#now() + retryAfterMs };
  }

  /** Reads back a process that was found running, before anything is planned. null: that is done. */
  async #lookAtFound(): Promise<Result | null> {
    try {
      await this.#updater.verifyFound();
      return null;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { kind: 'failed', error, reasons: [], at: this.#now() + retryAfterMs };
    }
  }
}

/** `sections` with others in the place of those of the same name; the rest of the others stands at the end. */
function withReplaced(sections: readonly Section[], others: readonly Section[]): readonly Section[] {
  if (others.length === 0) return sections;
  const titleOf = ({ kind, name }: Section): string => `${kind} ${name}`;
  const rest = new Map(others.map((section) => [titleOf(section), section]));
  const replaced = sections.map((section) => {
    const other = rest.get(titleOf(section));
    if (other?.service !== section.service) return section;
    rest.delete(titleOf(section));
    return other;
  });
  return [...replaced, ...rest.values()];
}

/** A check that fails to run counts as a refusal. */
function asProblem(error: unknown): readonly Problem[] {
  if (!(error instanceof AppError)) throw error;
  return [{ message: error.message, service: null, code: error.code }];
}

/** Whether a shared or hand-written frontend may lead to a service that has servers. */
function serves({ sections }: Rendered): boolean {
  return (
    sections.some(({ kind }) => kind === 'frontend' || kind === 'listen') &&
    sections.some((section) => section.service !== null && serverLines(section).length > 0)
  );
}

/** Whether any service has a frontend of its own. */
function listens({ sections }: Rendered): boolean {
  return sections.some(({ kind, service }) => kind === 'frontend' && service !== null);
}
