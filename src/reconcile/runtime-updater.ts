/**
 * Changes servers by runtime commands, and proves it: replies that are not known to be good, and whatever is not as it
 * should be when it is read back, lead to another command or to a reload, never to silence.
 */
import type { ManagedDriver, Outcome, Running, Runtime } from '../apply/driver.ts';
import { AppError } from '../errors.ts';
import type { UnexpectedReply } from '../haproxy/cli/runtime-commands.ts';
import type { Drift, Moment, Ms, Plan, ReloadReason, Rendered, RuntimeCommand, ServerOverride } from '../model.ts';
import { silencedAgents } from '../plan/backends.ts';
import { stateOf } from '../plan/drift.ts';
import { planChange, planMeanwhile, planReload } from '../plan/plan.ts';
import type { OverrideRequest } from './override-store.ts';
import { isOverridden } from './overrides.ts';
import { partsOf, type Verification, Verifier, type VerifySettings } from './verifier.ts';

export type RuntimeUpdaterOptions = {
  readonly now: () => Moment;
  readonly verify: () => VerifySettings;
  readonly report: (happening: {
    /** Servers do not run as they should. */
    readonly kind: 'drift';
    readonly drift: readonly Drift[];
    readonly isRepaired: boolean;
  }) => void;
};

/** Servers of these backends were changed by that many commands. */
export type RuntimeResult = {
  readonly kind: 'runtime';
  readonly commands: number;
  readonly backends: readonly string[];
  readonly tookMs: Ms;
};

const failuresUntilReload = 2;

export class RuntimeUpdater {
  readonly #driver: ManagedDriver;
  readonly #options: RuntimeUpdaterOptions;
  readonly #verifier: Verifier;
  /** Backends that commands no longer help, and why: the next reload is for them. */
  readonly #distrusted = new Map<string, ReloadReason>();
  /** How often in a row commands got no answer. */
  #failures = 0;
  /** The generation that is known here; what another one has is yet to be looked at. */
  #known: number | null = null;
  /** What runs was started before this Myelin, and not been looked at. */
  #isFound: boolean;

  constructor(control: ManagedDriver, options: RuntimeUpdaterOptions) {
    this.#driver = control;
    this.#options = options;
    this.#verifier = new Verifier(options.verify);
    this.#isFound = control.running !== null;
  }

  /** Drift that stands, because it is only to be reported. */
  get drift(): readonly Drift[] {
    return this.#verifier.reported;
  }

  /** When `verify` has something to do; null: nothing that can be looked at runs. */
  get nextVerification(): Moment | null {
    const { running, runtime } = this.#driver;
    return runtime === null ? null : this.#verifier.next(running?.sections ?? null);
  }

  /** What it takes to bring what runs to `wanted`. */
  plan({ sections }: Rendered, requested: readonly ReloadReason[]): Plan {
    const { running, runtime, forced: its } = this.#driver;
    const forced = [...its, ...requested, ...this.#distrusted.values()];
    const now = running?.sections ?? null;
    return runtime === null ? planReload(now, sections, { forced }) : planChange(now, sections, { forced, ...runtime });
  }

  /**
   * Sends what was planned. After `unexpected` what runs was read back, and another plan starts from that: where it
   * would be commands again, it will be a reload.
   */
  async apply(wanted: Rendered, commands: readonly RuntimeCommand[], signal: AbortSignal): Promise<Outcome> {
    const { runtime } = this.#driver;
    // One that takes no commands has but its file written.
    const outcome = await (runtime?.applyCommands(commands, wanted) ??
      this.#driver.apply(wanted, { kind: 'none' }, signal));
    if (outcome.kind === 'failed') signal.throwIfAborted();
    // One that failed may have been executed late, or in part.
    if (outcome.kind === 'applied' || outcome.kind === 'failed') this.#verifier.touched(commands, this.#now());
    if (outcome.kind === 'failed') return this.#afterFailure(outcome, wanted, commands);
    this.#failures = 0;
    if (outcome.kind === 'applied') await this.#updateFollowers(wanted);
    else if (outcome.kind === 'unexpected') {
      await this.#examine(outcome.replies);
      // What was read back may be what is wanted all the same.
      if (this.plan(wanted, []).kind === 'runtime') this.#distrust(outcome.replies.map(reasonOf));
    }
    return outcome;
  }

  /**
   * Once without an answer, HAProxy may have been busy. Where it answers what it is asked, and again not what it is told,
   * its command line is of no use for that, and a reload has to do it.
   */
  async #afterFailure(
    failed: Extract<Outcome, { readonly kind: 'failed' }>,
    wanted: Rendered,
    commands: readonly RuntimeCommand[],
  ): Promise<Outcome> {
    this.#failures += 1;
    if (commands.length === 0 || this.#failures < failuresUntilReload) return failed;
    const backends = new Set(commands.map(({ backend }) => backend));
    try {
      this.#verifier.soon(backends, this.#now());
      await this.#verifyDue();
    } catch (error) {
      if (error instanceof AppError) return failed;
      throw error;
    }
    this.#failures = 0;
    const detail = failed.error.message;
    if (this.plan(wanted, []).kind === 'runtime')
      this.#distrust(
        [...backends].map((backend) => ({ code: 'reply_unexpected', section: `backend ${backend}`, detail })),
      );
    return { kind: 'unexpected', replies: [] };
  }

  /** What commands can do of it, while the rest waits for a reload or one is under way. null: nothing. */
  async meanwhile(wanted: Rendered, signal: AbortSignal): Promise<RuntimeResult | null> {
    const { running, runtime } = this.#driver;
    if (running === null || runtime === null) return null;
    const trusted = wanted.sections.filter(({ kind, name }) => kind !== 'backend' || !this.#distrusted.has(name));
    const change = planMeanwhile(running.sections, trusted, runtime);
    if (change === null) return null;
    const outcome = await this.apply({ sections: change.sections }, change.commands, signal);
    if (outcome.kind === 'superseded') return this.meanwhile(wanted, signal);
    // Whatever else it comes to, the reload that follows, or the next change, meets the same and reports it.
    return outcome.kind === 'applied' ? runtimeResult(change.commands, outcome.tookMs) : null;
  }

  /** Another process serves, from `wanted`. */
  async reloaded(wanted: Rendered): Promise<void> {
    this.#distrusted.clear();
    this.#isFound = false;
    if (this.#driver.running !== null) await this.#followProcess(this.#driver.running);
    await this.#updateFollowers(wanted);
  }

  /** Reads back what is due, and sets right what is not in the text. Whether a reconcile has to follow. */
  async verify(): Promise<boolean> {
    const { running } = this.#driver;
    if (running !== null) await this.#followProcess(running);
    return this.#verifyDue();
  }

  /**
   * Looks at all of a process that was found running: it may have been told more, or less, than was written down, and
   * no plan is right before that is known. Throws an AppError where it does not answer; then it is yet to be done.
   */
  async verifyFound(): Promise<void> {
    if (!this.#isFound) return;
    for (const backends of partsOf(this.#driver.running?.sections ?? [])) {
      const { running, runtime } = this.#driver;
      if (running === null || runtime === null) break;
      this.#act(await this.#verifier.look(runtime, running.sections, backends, this.#now()));
    }
    this.#isFound = false;
    this.#known = this.#driver.running?.generation ?? null;
  }

  /**
   * Sees that a server is what an operator ordered, as its wanted line says by now. Where that line waits for a reload it
   * is told here, as far as it is to be taken out. Throws an AppError where it is not.
   */
  async enforce({ backend, server, state }: OverrideRequest): Promise<void> {
    const { running, runtime } = this.#driver;
    if (running === null || runtime === null) return;
    if (
      state === null ? !isOverridden(running.sections, backend, server) : await isOut(runtime, backend, server, state)
    )
      return;
    if (state === 'maint') {
      const commands = [{ kind: state, backend, server, hasAgent: true } as const];
      const outcome = await runtime.applyCommands(commands, running);
      this.#verifier.touched(commands, this.#now());
      if (outcome.kind === 'failed') throw outcome.error;
      if (await isOut(runtime, backend, server, state)) return;
    }
    const what = state === null ? 'has not put back' : 'still sends new connections to';
    throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy ${what} ${backend}/${server}`, {
      remedy: 'the override stays and is retried; `myelin status` says what it waits for',
    });
  }

  async #verifyDue(): Promise<boolean> {
    const { running, runtime } = this.#driver;
    if (running === null || runtime === null) return false;
    return this.#act(await this.#verifier.verify(runtime, running.sections, this.#now()));
  }

  /** Whether a reconcile has to follow. */
  #act({ drift, reasons }: Verification): boolean {
    const { drift: mode } = this.#options.verify();
    if (drift.length > 0) this.#options.report({ kind: 'drift', drift, isRepaired: mode === 'repair' });
    this.#distrust(reasons);
    return drift.length > 0 && mode === 'repair';
  }

  /** Where replies were not as they should be, what really runs is read back. */
  async #examine(replies: readonly UnexpectedReply[]): Promise<void> {
    this.#verifier.soon(new Set(replies.map(({ command }) => command.backend)), this.#now());
    try {
      await this.#verifyDue();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#distrust(replies.map(reasonOf));
    }
  }

  /** Of another process than before everything is to be looked at. */
  async #followProcess(running: Running): Promise<void> {
    const { generation, sections } = running;
    if (this.#known === generation) return;
    this.#known = generation;
    this.#verifier.everything(sections, this.#now());
    const commands = silencedAgents(sections);
    // Whatever becomes of it, what they make of it is found.
    if (commands.length > 0) await this.#driver.runtime?.applyCommands(commands, running);
  }

  /** Those that leave send no more to a server that is gone, as far as they take commands. */
  async #updateFollowers(wanted: Rendered): Promise<void> {
    let isSuperseded = false;
    for (const follower of this.#driver.runtime?.followers ?? []) {
      const change = planMeanwhile(follower.sections, wanted.sections, follower);
      if (change === null) continue;
      const { kind } = await follower.applyCommands(change.commands, change);
      isSuperseded ||= kind === 'superseded';
    }
    if (isSuperseded) await this.#updateFollowers(wanted);
  }

  #distrust(reasons: readonly ReloadReason[]): void {
    for (const reason of reasons) this.#distrusted.set(reason.section?.replace(/^backend /, '') ?? '', reason);
  }

  #now(): Moment {
    return this.#options.now();
  }
}

/** One that is not there has nothing to be taken out of. */
async function isOut(runtime: Runtime, backend: string, server: string, order: ServerOverride): Promise<boolean> {
  const row = (await runtime.readBack([backend])).get(backend)?.find(({ srv_name }) => srv_name === server);
  if (row === undefined) return true;
  return order === 'maint' ? stateOf(row) === 'maint' : row.srv_uweight === '0';
}

export function runtimeResult(commands: readonly RuntimeCommand[], tookMs: Ms): RuntimeResult {
  const backends = [...new Set(commands.map(({ backend }) => backend))];
  return { kind: 'runtime', commands: commands.length, backends, tookMs };
}

function reasonOf({ command, reply }: UnexpectedReply): ReloadReason {
  const { kind, backend, server } = command;
  return {
    code: 'reply_unexpected',
    section: `backend ${backend}`,
    detail: `${kind} ${server}: ${reply === '' ? 'no answer' : reply.split('\n')[0]}`,
  };
}
