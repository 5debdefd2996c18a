/**
 * Changes what runs by runtime commands, and verifies it. An unexpected reply leads to another command or to a reload, and so
 * does a server that differs from what is desired when it is read back.
 */
import type { CommandOutcome, ManagedDriver, Outcome } from '../../apply/driver.ts';
import { AppError } from '../../errors.ts';
import { ownerOf, resourceOf, resources } from '../../haproxy/resources/index.ts';
import type { UnexpectedReply } from '../../haproxy/resources/resource.ts';
import type { Drift, Moment, Plan, ReloadReason, Rendered, RuntimeCommand } from '../../model.ts';
import { planChange, planMeanwhile } from '../../plan/plan.ts';
import { enforceOverride } from '../overrides/enforce-override.ts';
import type { OverrideRequest } from '../overrides/override-store.ts';
import { type RuntimeResult, runtimeResult } from '../result.ts';
import { type Knowledge, type KnowledgeEvent, knowledgeAtStart, nextKnowledge, reloadReasons } from './knowledge.ts';
import { roundOf, type Verification, Verifier, type VerifySettings } from './verifier.ts';

export type RuntimeUpdaterOptions = {
  readonly now: () => Moment;
  readonly verify: () => VerifySettings;
  readonly report: (happening: {
    /** What runs differs from what is desired. */
    readonly kind: 'drift';
    readonly drift: readonly Drift[];
    readonly isRepaired: boolean;
  }) => void;
};

type PlanWithoutReload = Exclude<Plan, { readonly kind: 'reload' }>;

const unansweredUntilReload = 2;

export class RuntimeUpdater {
  readonly #driver: ManagedDriver;
  readonly #options: RuntimeUpdaterOptions;
  readonly #verifier: Verifier;
  #knowledge: Knowledge;

  constructor(driver: ManagedDriver, options: RuntimeUpdaterOptions) {
    this.#driver = driver;
    this.#options = options;
    this.#verifier = new Verifier(options.verify);
    this.#knowledge = knowledgeAtStart(this.#generation);
  }

  /** What is known of the process that serves. */
  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /** Drift that is not repaired, because the config says to report it only. */
  get drift(): readonly Drift[] {
    return this.#verifier.reported;
  }

  /** When `verify` has something to do; null: no process takes commands. */
  get nextVerification(): Moment | null {
    return this.#driver.runtime === null ? null : this.#verifier.schedule.next;
  }

  /** Plans how the process that serves gets to `desired`. */
  plan(desired: Rendered, requested: readonly ReloadReason[]): Plan {
    this.#noteWhoServes();
    const { running, runtime, forced: its } = this.#driver;
    const forced = [...its, ...requested, ...reloadReasons(this.#knowledge).values()];
    return planChange(runtime?.running ?? running, desired, runtime, forced);
  }

  /**
   * Applies a plan without a reload. After `unexpected` what runs has been read back, and the next plan starts from that; where
   * commands would have to be sent again, it is a reload.
   */
  async apply(desired: Rendered, plan: PlanWithoutReload, signal: AbortSignal): Promise<Outcome> {
    const takesCommands = this.#driver.runtime !== null;
    const outcome = await this.#driver.apply(desired, plan, signal);
    if (!takesCommands) return outcome;
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    // Failed commands may have been executed late, or in part.
    if (outcome.kind === 'applied' || outcome.kind === 'failed') this.#verifier.schedule.touched(commands, this.#now());
    if (outcome.kind === 'failed') {
      signal.throwIfAborted();
      return this.#afterFailure(outcome, desired, commands);
    }
    this.#note({ kind: 'answered' });
    if (outcome.kind === 'applied') await this.#updateFollowers(desired);
    else if (outcome.kind === 'unexpected') {
      await this.#examine(outcome.replies);
      // Despite the reply, what was read back may be what is desired.
      if (this.plan(desired, []).kind === 'runtime') this.#requireReload(outcome.replies.map(reasonOf));
    }
    return outcome;
  }

  /**
   * After one missing answer the commands are tried again, since HAProxy may be busy. After the next, HAProxy is read
   * back: where it answers queries but not commands, a reload follows.
   */
  async #afterFailure(
    failed: Extract<CommandOutcome, { readonly kind: 'failed' }>,
    desired: Rendered,
    commands: readonly RuntimeCommand[],
  ): Promise<Outcome> {
    this.#note({ kind: 'unanswered' });
    if (commands.length === 0 || this.#knowledge.unanswered < unansweredUntilReload) return failed;
    const owners = new Set(commands.map(ownerOf));
    try {
      this.#verifier.schedule.soon(owners, this.#now());
      await this.#verifyDue();
    } catch (error) {
      if (error instanceof AppError) return failed;
      throw error;
    }
    this.#note({ kind: 'answered' });
    const detail = failed.error.message;
    if (this.plan(desired, []).kind === 'runtime')
      this.#requireReload([...owners].map((owner) => ({ code: 'reply_unexpected', section: owner, detail })));
    return { kind: 'unexpected', replies: [] };
  }

  /** Sends the commands that need not wait for a reload. null: there were none. */
  async meanwhile(desired: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    this.#noteWhoServes();
    const { runtime } = this.#driver;
    if (runtime === null) return null;
    const except = new Set(reloadReasons(this.#knowledge).keys());
    const change = planMeanwhile(runtime.running, desired, runtime, except);
    if (change === null) return null;
    const outcome = await this.apply(change.desired, { kind: 'runtime', commands: change.commands }, signal);
    if (outcome.kind === 'superseded') return this.meanwhile(desired, signal);
    // The reload or the change that follows runs into any other outcome again, and reports it.
    return outcome.kind === 'applied' ? runtimeResult(change.commands, outcome.tookMs) : null;
  }

  /** Another process serves, which was started with `desired`. */
  async reloaded(desired: Rendered): Promise<void> {
    this.#note({ kind: 'reloaded', generation: this.#generation });
    await this.#beginToRead();
    await this.#updateFollowers(desired);
  }

  /** Reads back what is due, and sends the commands that the file has no words for. Returns whether a reconcile has to follow. */
  async verify(): Promise<boolean> {
    this.#noteWhoServes();
    await this.#beginToRead();
    const isDrifted = await this.#verifyDue();
    if (this.#knowledge.kind === 'unread' && this.#knowledge.isScheduled && this.#verifier.schedule.isAllSeen)
      this.#note({ kind: 'read' });
    return isDrifted;
  }

  /**
   * Reads back all of a process that was found running, since a plan has to start from what really runs. Throws an AppError
   * where the process does not answer; the next reconcile tries again.
   */
  async verifyFound(): Promise<void> {
    this.#noteWhoServes();
    if (this.#knowledge.kind !== 'unread' || !this.#knowledge.isFound) return;
    for (const due of roundOf(this.#driver.running ?? { sections: [] })) {
      const { runtime } = this.#driver;
      if (runtime === null) return;
      this.#act(await this.#verifier.readBack(runtime, due, this.#now()));
    }
    this.#note({ kind: 'read' });
  }

  /** Makes sure that a server has the state that an operator gave it. Throws an AppError where it has not. */
  async enforce(override: OverrideRequest): Promise<void> {
    const { runtime } = this.#driver;
    if (runtime === null) return;
    await enforceOverride(override, runtime, (commands) => this.#verifier.schedule.touched(commands, this.#now()));
  }

  async #verifyDue(): Promise<boolean> {
    const { runtime } = this.#driver;
    return runtime !== null && this.#act(await this.#verifier.verify(runtime, this.#now()));
  }

  /** Reports drift and requires reloads. Returns whether a reconcile has to follow. */
  #act({ drift, reasons }: Verification): boolean {
    const { drift: mode } = this.#options.verify();
    if (drift.length > 0) this.#options.report({ kind: 'drift', drift, isRepaired: mode === 'repair' });
    this.#requireReload(reasons);
    return drift.length > 0 && mode === 'repair';
  }

  /** Reads back what really runs, after unexpected replies. */
  async #examine(replies: readonly UnexpectedReply[]): Promise<void> {
    this.#verifier.schedule.soon(new Set(replies.map(({ command }) => ownerOf(command))), this.#now());
    try {
      await this.#verifyDue();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#requireReload(replies.map(reasonOf));
    }
  }

  /** Schedules the reading back of a process that was not read yet. */
  async #beginToRead(): Promise<void> {
    const { runtime } = this.#driver;
    if (runtime === null || this.#knowledge.isScheduled) return;
    this.#note({ kind: 'scheduled' });
    this.#verifier.everything(runtime.running, this.#now());
    const commands = resources.flatMap((resource) => resource.afterStart(runtime.running));
    // Their outcome does not matter: all of it is read back.
    if (commands.length > 0) await runtime.applyCommands(commands, runtime.running);
  }

  /** Sends the changes to old processes too, so that they stop sending requests to a server that is gone. */
  async #updateFollowers(desired: Rendered): Promise<void> {
    if (this.#driver.runtime === null) return;
    let isSuperseded = false;
    for (const follower of this.#driver.followers) {
      const change = planMeanwhile(follower.running, desired, follower);
      if (change === null) continue;
      const commands = change.commands.filter((command) => !resourceOf(command).isForNewClients);
      const { kind } = await follower.applyCommands(commands, change.desired);
      // The process ends anyway: what it refused once is not sent again.
      if (kind === 'unexpected') follower.acceptObserved(change.desired, []);
      isSuperseded ||= kind === 'superseded';
    }
    if (isSuperseded) await this.#updateFollowers(desired);
  }

  get #generation(): number | null {
    const { running, runtime } = this.#driver;
    return runtime === null ? null : (running?.generation ?? null);
  }

  #noteWhoServes(): void {
    this.#note({ kind: 'serves', generation: this.#generation });
  }

  #requireReload(reasons: readonly ReloadReason[]): void {
    if (reasons.length > 0) this.#note({ kind: 'reload_required', reasons });
  }

  #note(event: KnowledgeEvent): void {
    this.#knowledge = nextKnowledge(this.#knowledge, event);
  }

  #now(): Moment {
    return this.#options.now();
  }
}

function reasonOf({ command, reply }: UnexpectedReply): ReloadReason {
  return {
    code: 'reply_unexpected',
    section: ownerOf(command),
    detail: `${resourceOf(command).describe(command)}: ${reply === '' ? 'no answer' : reply.split('\n')[0]}`,
  };
}
