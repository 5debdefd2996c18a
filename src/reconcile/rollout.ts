/**
 * Makes one desired config live, by commands or by a reload. It keeps the state of the reload, sends commands for servers
 * while a reload waits, and does not retry at once what was refused.
 */
import type { ManagedDriver } from '../apply/driver.ts';
import type { KeptFiles } from '../apply/files/kept-files.ts';
import { isSameFailure } from '../haproxy/text/back-off.ts';
import type { Moment, Ms, Problem, ReloadReason, Rendered, RuntimeCommand, Section } from '../model.ts';
import type { RenderResult } from '../render/render.ts';
import type { OfferBudget } from './offer-budget.ts';
import type { CrashLoop } from './quarantine/crash-loop.ts';
import { pace } from './quarantine/state.ts';
import { nextReloadState, type ReloadEvent, type ReloadState } from './reload-state.ts';
import { type Result, type RuntimeResult, runtimeResult } from './result.ts';
import type { RuntimeUpdater } from './runtime/runtime-updater.ts';

export type Desired = {
  /** With the services that could not be rendered, or of which only the backend could. */
  readonly rendered: RenderResult;
  /** What an operator asked for. */
  readonly requested: readonly ReloadReason[];
  /** Called with what commands have done while the rest waits for a reload. */
  readonly onMeanwhile: (result: RuntimeResult) => void;
  /** Called when a reload begins. Until the reconcile ends, `meanwhile` can be called. */
  readonly onReload: (reasons: readonly ReloadReason[]) => void;
};

/** Refused by HAProxy or the preflight; the caller finds out which service is at fault. */
type Refused = { readonly kind: 'refused'; readonly problems: readonly Problem[] };

type RolloutParts = {
  readonly driver: ManagedDriver;
  readonly updater: RuntimeUpdater;
  readonly budget: OfferBudget;
  readonly crashLoop: CrashLoop;
  readonly files: KeptFiles;
  readonly now: () => Moment;
  /** Called with the backends whose servers commands have changed: these changes stay, even where the rest is refused. */
  readonly live: { serversWentLive(running: readonly Section[], backends: readonly string[]): void };
};

const retryAfterMs: Ms = 1000;

export class Rollout {
  readonly #parts: RolloutParts;
  #reload: ReloadState = { kind: 'idle', refusal: null };

  constructor(parts: RolloutParts) {
    this.#parts = parts;
  }

  get isReloading(): boolean {
    return this.#reload.kind === 'reloading';
  }

  /** Called when the reconcile is over, whatever its result. */
  end(): void {
    this.#note({ kind: 'ended' });
  }

  /** Something other than servers has changed: what was refused is tried again soon. */
  retrySoon(): void {
    this.#note({ kind: 'retry_soon' });
  }

  /** Plans how HAProxy gets to `wanted`, and applies the plan. */
  async attempt(wanted: Rendered, desired: Desired, signal: AbortSignal): Promise<Result | Refused> {
    const plan = this.#parts.updater.plan(wanted, desired.requested);
    if (plan.kind === 'reload') return this.#reloadTo(wanted, plan.reasons, desired, signal);
    // A reload was refused just now: the next reconcile sends the commands, so that `meanwhile` never runs beside them.
    if (this.isReloading) return { kind: 'postponed' };
    this.#note({ kind: 'not_needed' });
    const outcome = await this.#parts.updater.apply(wanted, plan, signal);
    switch (outcome.kind) {
      case 'applied':
        if (plan.kind === 'none') return { kind: 'noop' };
        // There may be keys among the files of a service that has gone.
        if (plan.commands.some(removesService)) await this.#parts.files.keepOnly(wanted.sections);
        return runtimeResult(plan.commands, outcome.tookMs);
      case 'unexpected':
      case 'superseded':
        return this.attempt(wanted, desired, signal);
      case 'refused':
        return outcome;
      case 'failed':
        return { kind: 'failed', error: outcome.error, reasons: [], at: this.#parts.now() + retryAfterMs };
    }
  }

  /** Sends the commands that need not wait for the reload. null: there were none. */
  async meanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const result = await this.#parts.updater.meanwhile(wanted, signal);
    // The servers stay changed, even where the rest is refused.
    if (result !== null) this.#parts.live.serversWentLive(this.#parts.driver.running?.sections ?? [], result.owners);
    return result;
  }

  /** HAProxy refuses the config, and no service is at fault. */
  refuse({ sections }: Rendered, problems: readonly Problem[]): Result {
    this.#note({ kind: 'refused', sections, problems, now: this.#parts.now() });
    return { kind: 'rejected', problems, at: this.#reload.refusal?.until ?? this.#parts.now() };
  }

  async #reloadTo(
    wanted: Rendered,
    reasons: readonly ReloadReason[],
    { rendered, onMeanwhile, onReload }: Desired,
    signal: AbortSignal,
  ): Promise<Result | Refused> {
    const driver = this.#parts.driver;
    const now = this.#parts.now();
    this.#note({ kind: 'needed', now });
    // Servers do not wait for the reload. Once it has begun, the queue calls `meanwhile`.
    const meanwhile = this.isReloading ? null : await this.meanwhile(wanted, signal);
    if (meanwhile !== null) onMeanwhile(meanwhile);
    // A crash does not count where an operator asks for the reload, or where another executable may not crash.
    const isWorthATry = reasons.some(({ code }) => code === 'operator_request' || code === 'binary_changed');
    const crashed = isWorthATry ? null : this.#parts.crashLoop.of(wanted.sections, now);
    if (crashed !== null) return { kind: 'rejected', problems: crashed.problems, at: crashed.until };
    const about = { reasons, sections: [...(driver.running?.sections ?? []), ...wanted.sections] };
    const slot = this.#parts.budget.slot(driver.reloadAt(wanted, this.#neededSince(now)), about);
    if (slot.at > now) return { kind: 'pending', reasons, because: slot.because, at: slot.at };
    const refused = this.isReloading ? null : this.#refusedBefore(rendered, reasons, now);
    if (refused !== null) return refused;

    // A further attempt, without a service that was refused, belongs to the same reload.
    if (!this.isReloading) onReload(reasons);
    this.#note({ kind: 'begun', now });
    const outcome = await this.#parts.files.during(
      wanted.sections,
      () => driver.apply(wanted, { kind: 'reload', reasons }, signal),
      ({ kind }) => kind === 'applied',
    );
    switch (outcome.kind) {
      case 'applied':
        this.#note({ kind: 'live' });
        this.#parts.budget.spend(slot, about, this.#parts.now());
        await this.#parts.updater.reloaded(wanted);
        return { kind: 'reload', reasons, tookMs: outcome.tookMs };
      case 'refused':
        return outcome;
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null))
          return { kind: 'refused', problems: outcome.problems };
        const { at } = driver.reloadAt(wanted, this.#neededSince(now));
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#parts.now() + retryAfterMs) };
      }
      case 'superseded':
        return { kind: 'postponed' };
      case 'unexpected':
        throw new TypeError(`a reload cannot be ${outcome.kind}`);
    }
  }

  /** Why a reload is not tried yet: the same was refused lately, or anything was a moment ago. null: it may be tried. */
  #refusedBefore({ sections }: Rendered, reasons: readonly ReloadReason[], now: Moment): Result | null {
    const { refusal } = this.#reload;
    if (refusal === null) return null;
    const { until, failedAt, problems } = refusal;
    if (isSameFailure(refusal, sections)) return until > now ? { kind: 'rejected', problems, at: until } : null;
    // Where nothing serves, a new structure is tried at once.
    const at = failedAt + pace.shortestMs;
    return this.#parts.driver.running !== null && at > now
      ? { kind: 'pending', reasons, because: 'back_off', at }
      : null;
  }

  #note(event: ReloadEvent): void {
    this.#reload = nextReloadState(this.#reload, event);
  }

  #neededSince(now: Moment): Moment {
    return this.#reload.kind === 'idle' ? now : this.#reload.since;
  }
}

function removesService(command: RuntimeCommand): boolean {
  if (command.kind === 'backend') return command.action === 'unpublish' || command.action === 'retire';
  return command.kind === 'frontend';
}
