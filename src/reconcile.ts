/**
 * One reconcile: render what should be, plan what it takes, have it applied. A service that is at fault is set apart
 * here: it keeps its last good sections, or an empty backend of its name, and the others go live.
 */
import type { Control, Running, UnexpectedReply } from './apply/control.ts';
import type { AppError } from './errors.ts';
import type {
  Drift,
  Moment,
  Ms,
  Plan,
  Problem,
  ReloadReason,
  Rendered,
  RuntimeCommand,
  Section,
  ServerOrder,
} from './model.ts';
import { planChange, planMeanwhile, planReload } from './plan/plan.ts';
import { hold } from './quarantine.ts';
import { isUnanswered, Verifier, type VerifySettings } from './verify.ts';

export type Result =
  /** What runs is what is wanted. */
  | { readonly kind: 'noop' }
  /** Servers of these backends were changed by that many commands. */
  | { readonly kind: 'runtime'; readonly commands: number; readonly backends: readonly string[]; readonly tookMs: Ms }
  | { readonly kind: 'reload'; readonly reasons: readonly ReloadReason[]; readonly tookMs: Ms }
  /** A reload is to be done, but not before `at`; what commands could do was done. */
  | {
      readonly kind: 'pending';
      readonly reasons: readonly ReloadReason[];
      readonly because: string;
      readonly at: Moment;
      readonly meanwhile: RuntimeResult | null;
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

export type RuntimeResult = Extract<Result, { readonly kind: 'runtime' }>;

/** A reload has begun; `result` settles when it has come to an end. Until then `meanwhile` can be called. */
export type Reloading = { readonly kind: 'reloading'; readonly result: Promise<Result> };

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

export type ReconcilerOptions = {
  readonly now: () => Moment;
  readonly verify: () => VerifySettings;
  /** What an operator ordered servers to be, by `backend/server`. */
  readonly orders: () => ReadonlyMap<string, ServerOrder>;
  /** Told of what does not run as it should, and whether it is being set right. */
  readonly onDrift: (drift: readonly Drift[], what: 'repair' | 'report') => void;
};

export class Reconciler {
  readonly #control: Control;
  readonly #options: ReconcilerOptions;
  readonly #now: () => Moment;
  readonly #verifier: Verifier;
  readonly #held = new Map<string, Held>();
  #refusal: Refusal | null = null;
  /** What ran last, also once it has ended by itself: a service that is set apart keeps its sections from there. */
  #lastGood: readonly Section[];
  /** Since when something is wanted that does not run. */
  #wantedSince: Moment | null = null;
  /** Backends that commands no longer help, and why: the next reload is for them. */
  readonly #distrusted = new Map<string, ReloadReason>();
  /** The generation that was looked at as a whole, or is about to be. */
  #verified: number | null = null;
  #reloadBegun = Promise.withResolvers<void>();
  #isReloading = false;

  constructor(control: Control, options: ReconcilerOptions) {
    this.#control = control;
    this.#options = options;
    this.#now = options.now;
    this.#verifier = new Verifier(options.verify, options.orders);
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

  /** Drift that stands, because it is only to be reported. */
  get drift(): readonly Drift[] {
    return this.#verifier.reported;
  }

  /** When `verify` has something to do; null: nothing that can be looked at runs. */
  get nextVerification(): Moment | null {
    const { running, runtime } = this.#control;
    return runtime === null ? null : this.#verifier.next(running?.sections ?? null);
  }

  get isReloading(): boolean {
    return this.#isReloading;
  }

  /**
   * `faulty` are services that could not be rendered; `requested` is what an operator asked for. A reload takes a tenth
   * of a second and more: it goes on after this has returned.
   */
  async reconcile(
    rendered: Rendered,
    faulty: readonly Problem[],
    requested: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Result | Reloading> {
    this.#reloadBegun = Promise.withResolvers();
    const result = this.#reconcile(rendered, faulty, requested, signal);
    const begun = await Promise.race([result, this.#reloadBegun.promise.then(() => 'reloading' as const)]);
    if (begun !== 'reloading') return begun;
    return { kind: 'reloading', result };
  }

  /** While a reload is under way: what of `rendered` commands can do in the process that serves. null: nothing. */
  async meanwhile(rendered: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    return this.#changeMeanwhile(hold(rendered, this.#substitutes()), signal);
  }

  /** Reads back what is due, and sets right what is not in the text. Whether a reconcile has to follow. */
  async verify(signal: AbortSignal): Promise<boolean> {
    const { running, runtime } = this.#control;
    if (running === null || runtime === null || this.#isReloading) return false;
    this.#followProcess(running);
    const { drift, commands, reasons } = await this.#verifier.verify(runtime, running.sections, this.#now());
    const { drift: mode } = this.#options.verify();
    if (drift.length > 0) this.#options.onDrift(drift, mode);
    await this.#send(commands, signal);
    this.#distrust(reasons);
    return drift.length > 0 && mode === 'repair';
  }

  /** What was ordered of a server, or is not any more. */
  async order(command: RuntimeCommand, signal: AbortSignal): Promise<void> {
    await this.#send([command], signal);
  }

  async #reconcile(
    rendered: Rendered,
    faulty: readonly Problem[],
    requested: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Result> {
    try {
      await this.#verifyFound(signal);
      this.#lastGood = this.#control.running?.sections ?? this.#lastGood;
      this.#putOnTrial(rendered);
      this.#setApart(rendered, faulty);
      for (;;) {
        const wanted = hold(rendered, this.#substitutes());
        // Started with nothing to serve, HAProxy would help nobody, and its file would replace one that may be good.
        if (this.#control.running === null && listens(rendered) && !listens(wanted))
          return {
            kind: 'rejected',
            problems: this.apart.flatMap(({ problems }) => problems),
            at: this.nextTrial ?? 0,
          };
        const result = await this.#attempt(wanted, requested, signal);
        if (result.kind === 'rejected' && this.#setApartRefused(rendered, result.problems)) continue;
        if ((result.kind === 'rejected' || result.kind === 'failed') && this.#endTrials()) continue;
        if (result.kind === 'noop' || result.kind === 'runtime' || result.kind === 'reload') this.#acquit();
        return result;
      }
    } finally {
      this.#isReloading = false;
    }
  }

  async #attempt(wanted: Rendered, requested: readonly ReloadReason[], signal: AbortSignal): Promise<Result> {
    const plan = this.#plan(wanted, requested);
    switch (plan.kind) {
      case 'none':
      case 'runtime':
        this.#wantedSince = null;
        return this.#change(wanted, plan, requested, signal);
      case 'reload':
        return this.#reload(wanted, plan.reasons, signal);
    }
  }

  #plan({ sections }: Rendered, requested: readonly ReloadReason[]): Plan {
    const { running, runtime, forced: itsReasons } = this.#control;
    const forced = [...itsReasons, ...requested, ...this.#distrusted.values()];
    const now = running?.sections ?? null;
    return runtime === null ? planReload(now, sections, { forced }) : planChange(now, sections, { forced, ...runtime });
  }

  /** By commands, or, where there are none, just on disk. */
  async #change(
    wanted: Rendered,
    plan: Exclude<Plan, { readonly kind: 'reload' }>,
    requested: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Result> {
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const outcome = await this.#control.apply(wanted, this.#runtimePlan(commands), signal);
    switch (outcome.kind) {
      case 'applied':
        this.#verifier.touched(commands, this.#now());
        if (commands.length > 0) await this.#tellFollowers(wanted);
        return commands.length === 0 ? { kind: 'noop' } : runtimeResult(commands, outcome.tookMs);
      case 'unexpected': {
        await this.#examine(outcome.replies, signal);
        // What was read back may be what is wanted all the same; what is not is for a reload.
        if (this.#plan(wanted, requested).kind === 'runtime') this.#distrust(outcome.replies.map(reasonOf));
        return this.#attempt(wanted, requested, signal);
      }
      case 'superseded':
        return this.#attempt(wanted, requested, signal);
      case 'refused':
        return this.#refuse(wanted, outcome.problems);
      case 'failed':
        return { kind: 'failed', error: outcome.error, reasons: [], at: this.#now() + shortestRetryMs };
    }
  }

  async #reload(wanted: Rendered, reasons: readonly ReloadReason[], signal: AbortSignal): Promise<Result> {
    const control = this.#control;
    const now = this.#now();
    this.#wantedSince ??= now;
    const turn = control.reloadAt(wanted, this.#wantedSince);
    if (turn.at > now) {
      const meanwhile = await this.#changeMeanwhile(wanted, signal);
      return { kind: 'pending', reasons, because: turn.because, at: turn.at, meanwhile };
    }
    const refusal = this.#refusal;
    if (refusal !== null && refusal.retryAt > now && sameText(refusal.sections, wanted.sections))
      return { kind: 'rejected', problems: refusal.problems, at: refusal.retryAt };

    this.#isReloading = true;
    this.#reloadBegun.resolve();
    const outcome = await control.apply(wanted, { kind: 'reload', reasons }, signal);
    switch (outcome.kind) {
      case 'applied':
        this.#wantedSince = null;
        this.#refusal = null;
        this.#distrusted.clear();
        await this.#tellFollowers(wanted);
        return { kind: 'reload', reasons, tookMs: outcome.tookMs };
      case 'refused':
        return this.#refuse(wanted, outcome.problems);
      case 'failed': {
        if (outcome.problems.some(({ service }) => service !== null)) return this.#refuse(wanted, outcome.problems);
        const { at } = control.reloadAt(wanted, this.#wantedSince);
        return { kind: 'failed', error: outcome.error, reasons, at: Math.max(at, this.#now() + shortestRetryMs) };
      }
      case 'unexpected':
      case 'superseded':
        throw new TypeError(`a reload cannot be ${outcome.kind}`);
    }
  }

  /** What commands can do of it, while the rest waits for a reload. null: nothing. */
  async #changeMeanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const { running, runtime } = this.#control;
    if (running === null || runtime === null) return null;
    const trusted = wanted.sections.filter(({ kind, name }) => kind !== 'backend' || !this.#distrusted.has(name));
    const change = planMeanwhile(running.sections, trusted, runtime);
    if (change === null) return null;
    const { sections, commands } = change;
    const outcome = await this.#control.apply({ sections }, this.#runtimePlan(commands), signal);
    switch (outcome.kind) {
      case 'applied':
        this.#verifier.touched(commands, this.#now());
        await this.#tellFollowers(wanted);
        return runtimeResult(commands, outcome.tookMs);
      case 'unexpected':
        this.#distrust(outcome.replies.map(reasonOf));
        if (!this.#isReloading) await this.#examine(outcome.replies, signal);
        return null;
      case 'superseded':
        return null;
      case 'refused':
      case 'failed':
        // The reload that is to come, or the next change, meets the same trouble and reports it.
        return null;
    }
  }

  /** Sends what needs no plan of its own. */
  async #send(commands: readonly RuntimeCommand[], signal: AbortSignal): Promise<void> {
    const { running } = this.#control;
    if (commands.length === 0 || running === null) return;
    const outcome = await this.#control.apply(running, { kind: 'runtime', commands }, signal);
    if (outcome.kind === 'unexpected') this.#distrust(outcome.replies.map(reasonOf));
    this.#verifier.touched(commands, this.#now());
  }

  /** Where replies were not as they should be, what really runs is read back. */
  async #examine(replies: readonly UnexpectedReply[], signal: AbortSignal): Promise<void> {
    const { running, runtime } = this.#control;
    if (running === null || runtime === null) return;
    this.#verifier.soon(new Set(replies.map(({ command }) => command.backend)), this.#now());
    try {
      const { commands } = await this.#verifier.verify(runtime, running.sections, this.#now());
      await this.#send(commands, signal);
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      this.#distrust(replies.map(reasonOf));
    }
  }

  /** A process that was found running may have been told more, or less, than was written down. */
  async #verifyFound(signal: AbortSignal): Promise<void> {
    const { running, runtime } = this.#control;
    if (running === null || runtime === null || !this.#followProcess(running)) return;
    for (;;) {
      const { running, runtime } = this.#control;
      const next = this.#verifier.next(running?.sections ?? null);
      if (running === null || runtime === null || next === null || next > this.#now()) return;
      const { drift, commands } = await this.#verifier.verify(runtime, running.sections, this.#now());
      if (drift.length > 0) this.#options.onDrift(drift, this.#options.verify().drift);
      await this.#send(commands, signal);
    }
  }

  /** Whether another process runs than the one that was looked at before. */
  #followProcess({ generation, sections }: Running): boolean {
    if (this.#verified === generation) return false;
    this.#verified = generation;
    this.#verifier.everything(sections, this.#now());
    return true;
  }

  /** Those that leave send no more to a server that is gone, as far as they can be told. */
  async #tellFollowers({ sections: wanted }: Rendered): Promise<void> {
    for (const { sections, runtime, follow } of this.#control.runtime?.followers ?? []) {
      const change = planMeanwhile(sections, wanted, runtime);
      if (change !== null) await follow(this.#respecting(change.commands), change.sections);
    }
  }

  #runtimePlan(commands: readonly RuntimeCommand[]): Plan {
    return commands.length === 0 ? { kind: 'none' } : { kind: 'runtime', commands: this.#respecting(commands) };
  }

  /** A server that an operator has taken out stays out, also when it comes back under its name. */
  #respecting(commands: readonly RuntimeCommand[]): readonly RuntimeCommand[] {
    const orders = this.#options.orders();
    return commands.flatMap((command): readonly RuntimeCommand[] => {
      const { backend, server } = command;
      const order = orders.get(`${backend}/${server}`);
      return command.kind !== 'ready' || order === undefined ? [command] : [command, { kind: order, backend, server }];
    });
  }

  #distrust(reasons: readonly ReloadReason[]): void {
    for (const reason of reasons) this.#distrusted.set(reason.section?.replace(/^backend /, '') ?? '', reason);
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

function runtimeResult(commands: readonly RuntimeCommand[], tookMs: Ms): RuntimeResult {
  return {
    kind: 'runtime',
    commands: commands.length,
    backends: [...new Set(commands.map((each) => each.backend))],
    tookMs,
  };
}

function reasonOf({ command, reply }: UnexpectedReply): ReloadReason {
  const { kind, backend, server } = command;
  return {
    code: 'reply_unexpected',
    section: `backend ${backend}`,
    detail: `${kind} ${server}: ${reply === '' ? 'no answer' : reply.split('\n')[0]}`,
  };
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
