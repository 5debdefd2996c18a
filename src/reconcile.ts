/**
 * One reconcile: render what should be, plan what it takes, have it applied. A service that is at fault is set apart
 * here: it keeps its last good sections, or an empty backend of its name, and the others go live.
 */
import type { Control } from './apply/control.ts';
import type { AppError } from './errors.ts';
import type { Moment, Ms, Problem, ReloadReason, Rendered, Section } from './model.ts';
import { planReload } from './plan/plan.ts';
import { hold } from './quarantine.ts';

export type Result =
  /** What runs is what is wanted. */
  | { readonly kind: 'noop' }
  | { readonly kind: 'reload'; readonly reasons: readonly ReloadReason[]; readonly tookMs: Ms }
  /** Something is to be done, but not before `at`. */
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

/** A service that was set apart, and what for. */
export type Apart = { readonly service: string; readonly problems: readonly Problem[]; readonly since: Moment };

type Held = Apart & {
  /** What was refused; other sections get a try at once. */
  readonly refused: readonly Section[];
  readonly attempts: number;
  readonly retryAt: Moment;
  /** Its refused sections are being tried once more. */
  readonly onTrial: boolean;
};

/** A whole file that was refused, and when the same bytes get another try: what is amiss may lie outside them. */
type Refusal = {
  readonly sections: readonly Section[];
  readonly problems: readonly Problem[];
  readonly attempts: number;
  readonly retryAt: Moment;
};

const shortestRetryMs: Ms = 1000;
const longestRetryMs: Ms = 30_000;

export class Reconciler {
  readonly #control: Control;
  readonly #now: () => Moment;
  readonly #held = new Map<string, Held>();
  #refusal: Refusal | null = null;
  /** What ran last, also once it has ended by itself: a service that is set apart keeps its sections from there. */
  #lastGood: readonly Section[];
  /** Since when something is wanted that does not run. */
  #wantedSince: Moment | null = null;

  constructor(control: Control, now: () => Moment) {
    this.#control = control;
    this.#now = now;
    this.#lastGood = control.found ?? [];
  }

  /** Those on trial too: it is not over before their sections are live. */
  get apart(): readonly Apart[] {
    return [...this.#held.values()];
  }

  /** When a service that is set apart gets another try; null: none is. */
  get nextTrial(): Moment | null {
    // One that is on trial has had its moment: what it waits for now is the reload.
    const moments = this.#waiting().map(({ retryAt }) => retryAt);
    return moments.length === 0 ? null : Math.min(...moments);
  }

  /** `faulty` are services that could not be rendered; `requested` is what an operator asked for. */
  async reconcile(
    rendered: Rendered,
    faulty: readonly Problem[],
    requested: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Result> {
    this.#lastGood = this.#control.running?.sections ?? this.#lastGood;
    this.#putOnTrial(rendered);
    this.#setApart(rendered, faulty);
    for (;;) {
      const wanted = hold(rendered, this.#substitutes());
      // Started with nothing to serve, HAProxy would help nobody, and its file would replace one that may be good.
      if (this.#control.running === null && listens(rendered) && !listens(wanted))
        return { kind: 'rejected', problems: this.apart.flatMap(({ problems }) => problems), at: this.nextTrial ?? 0 };
      const result = await this.#attempt(wanted, requested, signal);
      if (result.kind === 'rejected' && this.#setApartRefused(rendered, result.problems)) continue;
      if ((result.kind === 'rejected' || result.kind === 'failed') && this.#endTrials()) continue;
      if (result.kind === 'noop' || result.kind === 'reload') this.#acquit();
      return result;
    }
  }

  async #attempt(wanted: Rendered, requested: readonly ReloadReason[], signal: AbortSignal): Promise<Result> {
    const control = this.#control;
    const forced = [...control.forced, ...requested];
    const plan = planReload(control.running?.sections ?? null, wanted.sections, { forced });
    const now = this.#now();
    if (plan.kind === 'none') this.#wantedSince = null;
    else {
      this.#wantedSince ??= now;
      const turn = control.reloadAt(wanted, this.#wantedSince);
      if (turn.at > now) return { kind: 'pending', reasons: plan.reasons, because: turn.because, at: turn.at };
      const refusal = this.#refusal;
      if (refusal !== null && refusal.retryAt > now && sameText(refusal.sections, wanted.sections))
        return { kind: 'rejected', problems: refusal.problems, at: refusal.retryAt };
    }

    const outcome = await control.apply(wanted, plan, signal);
    switch (outcome.kind) {
      case 'applied':
        this.#wantedSince = null;
        this.#refusal = null;
        if (plan.kind === 'none') return { kind: 'noop' };
        return { kind: 'reload', reasons: plan.reasons, tookMs: outcome.tookMs };
      case 'refused':
        return this.#refuse(wanted, outcome.problems);
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null)) return this.#refuse(wanted, outcome.problems);
        const { at } = control.reloadAt(wanted, this.#wantedSince ?? now);
        const reasons = plan.kind === 'none' ? [] : plan.reasons;
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#now() + shortestRetryMs) };
      }
    }
  }

  #refuse(wanted: Rendered, problems: readonly Problem[]): Result {
    const again = this.#refusal !== null && sameText(this.#refusal.sections, wanted.sections);
    const attempts = again ? (this.#refusal?.attempts ?? 0) + 1 : 1;
    const retryAt = this.#now() + backOff(attempts);
    this.#refusal = { sections: wanted.sections, problems, attempts, retryAt };
    return { kind: 'rejected', problems, at: retryAt };
  }

  /** The same for what HAProxy refused. False when that leaves nothing else to try. */
  #setApartRefused(rendered: Rendered, problems: readonly Problem[]): boolean {
    const waiting = this.#waiting().map(({ service }) => service);
    let any = this.#setApart(rendered, problems);
    // Their last good sections are refused too. To empty a service that serves would be worse than to change nothing;
    // where nothing serves, the others shall.
    if (this.#control.running === null)
      for (const service of waiting)
        if (problems.some((problem) => problem.service === service)) any = this.#forgetLastGood(service) || any;
    return any;
  }

  /** Sets apart each service that a problem names. False when there is none that is not set apart already. */
  #setApart(rendered: Rendered, problems: readonly Problem[]): boolean {
    const blamed = Map.groupBy(
      problems.filter(({ service }) => service !== null),
      ({ service }) => service ?? '',
    );
    let any = false;
    for (const [service, its] of blamed) {
      const before = this.#held.get(service);
      if (before !== undefined && !before.onTrial) continue;
      this.#hold({
        service,
        problems: its,
        since: before?.since ?? this.#now(),
        refused: sectionsOf(rendered, service),
        attempts: before?.attempts ?? 0,
      });
      any = true;
    }
    return any;
  }

  /** False when there is nothing to forget. */
  #forgetLastGood(service: string): boolean {
    const before = this.#lastGood;
    this.#lastGood = before.filter((section) => section.service !== service);
    return this.#lastGood.length < before.length;
  }

  /** What was refused as another text is wanted like any other again; the same text after a while, on trial. */
  #putOnTrial(rendered: Rendered): void {
    for (const [service, held] of this.#held)
      if (!sameText(held.refused, sectionsOf(rendered, service))) this.#held.delete(service);
      else if (held.retryAt <= this.#now()) this.#held.set(service, { ...held, onTrial: true });
  }

  /** Those in whose place something else stands. */
  #waiting(): readonly Held[] {
    return [...this.#held.values()].filter(({ onTrial }) => !onTrial);
  }

  /** Whatever went wrong while they were on trial, the others do not wait for them. False when none was. */
  #endTrials(): boolean {
    const onTrial = [...this.#held.values()].filter((held) => held.onTrial);
    for (const held of onTrial) this.#hold(held);
    return onTrial.length > 0;
  }

  #hold(held: Omit<Held, 'retryAt' | 'onTrial'>): void {
    const attempts = held.attempts + 1;
    this.#held.set(held.service, { ...held, attempts, retryAt: this.#now() + backOff(attempts), onTrial: false });
  }

  #acquit(): void {
    for (const [service, { onTrial }] of this.#held) if (onTrial) this.#held.delete(service);
  }

  /** The last good sections of each service that is set apart; null where it has none: an empty backend. */
  #substitutes(): ReadonlyMap<string, readonly Section[] | null> {
    return new Map(
      this.#waiting().map(({ service }) => {
        const lastGood = sectionsOf({ sections: this.#lastGood }, service);
        return [service, lastGood.length === 0 ? null : lastGood];
      }),
    );
  }
}

function sectionsOf({ sections }: Rendered, service: string): readonly Section[] {
  return sections.filter((section) => section.service === service);
}

/** Whether any service can be reached by itself. */
function listens({ sections }: Rendered): boolean {
  return sections.some(({ kind, service }) => kind === 'frontend' && service !== null);
}

function sameText(a: readonly Section[], b: readonly Section[]): boolean {
  return a.length === b.length && a.every((section, at) => section === b[at] || section.text === b[at]?.text);
}

function backOff(attempts: number): Ms {
  return Math.min(shortestRetryMs * 2 ** Math.min(attempts - 1, 20), longestRetryMs);
}
