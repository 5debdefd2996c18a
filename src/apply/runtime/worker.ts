/**
 * One HAProxy process that takes commands: what it is known to have, and the means to change that and to read it.
 * Every answer is judged by who gave it: one of another process counts for nothing.
 */
import { AppError } from '../../errors.ts';
import { type Capabilities, capabilitiesOf } from '../../haproxy/binary/capabilities.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import { type Frame, frame, unframe } from '../../haproxy/cli/framing.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { maxLineBytes } from '../../haproxy/cli/line-limit.ts';
import { inTime } from '../../haproxy/cli/socket.ts';
import { readBatch, toBatches } from '../../haproxy/resources/batch.ts';
import { ownerOf, resourceOf, resources } from '../../haproxy/resources/index.ts';
import type { Owner, Reaper, Seen, UnexpectedReply, Verdict } from '../../haproxy/resources/resource.ts';
import { createMutex } from '../../lib/mutex.ts';
import type { Leaving, Moment, Ms, Rendered, RuntimeCommand, Section } from '../../model.ts';
import type { CommandOutcome, Runtime } from '../driver.ts';

type Reaped = {
  /** Connections that were closed. */
  readonly closed: number;
  readonly unexpected: readonly UnexpectedReply[];
};

type WorkerOptions = {
  readonly pid: number;
  readonly version: Version;
  /** What it was started with; null where that is not known any more. */
  readonly started: readonly Section[] | null;
  /** What it has, as far as is known. */
  readonly running: Rendered;
  readonly ask: Ask;
  readonly now: () => Moment;
  /** What its command line wants before each command. */
  readonly prefix?: string;
};

export class Worker implements Runtime {
  readonly pid: number;
  readonly started: readonly Section[] | null;
  /** What runs in it, as far as is known. */
  #running: Rendered;
  /** What it was last brought to on purpose: that goes to disk, not what somebody made of it. */
  #intended: Rendered;
  /** One a resource that is removed in steps. */
  readonly #reapers: readonly Reaper[];
  readonly #prefix: string;
  /** What is planned for a server that leaves must not meet its deletion. */
  readonly #mutex = createMutex();
  #capabilities: Capabilities;
  #ask: Ask;
  /** Asked, and not answered yet. */
  #answering: Promise<string> | null = null;
  #isStopping = false;
  /** Of the first answer; with the PID it tells one process from every other. */
  #startTimeSec: number | null = null;

  constructor({ pid, version, started, running, ask, now, prefix = '' }: WorkerOptions) {
    this.pid = pid;
    this.#running = running;
    this.#intended = running;
    this.#capabilities = capabilitiesOf(version, maxLineBytes(running.sections));
    this.started = started;
    this.#ask = ask;
    this.#prefix = prefix;
    this.#reapers = resources.flatMap((resource) => resource.createReaper?.(now) ?? []);
  }

  /** It is stopping: it takes no new connections. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  get running(): Rendered {
    return this.#running;
  }

  get sections(): readonly Section[] {
    return this.#running.sections;
  }

  get intended(): Rendered {
    return this.#intended;
  }

  /** What was removed and is still there. */
  get leaving(): readonly Leaving[] {
    return this.#reapers.flatMap(({ list }) => list);
  }

  /** For the Myelin that takes over, which reads it from disk. */
  get leavingToRecord(): readonly Leaving[] {
    return this.#reapers.flatMap(({ toRecord }) => toRecord);
  }

  recallLeaving(leaving: readonly Leaving[]): void {
    for (const reaper of this.#reapers) reaper.recall(leaving);
  }

  /** What it can be told, as far as its version and its replies say. */
  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** How lines for it are to be. */
  get frame(): Frame {
    return { prefix: this.#prefix, maxBytes: this.#capabilities.maxLineBytes };
  }

  /** Questions go another way from now on. */
  reach(ask: Ask): void {
    this.#ask = ask;
  }

  /**
   * Brings it to `desired` by commands. Where a reply is not known to be good, `running` stays what it was, and what
   * really runs has to be read back. Nothing is sent where what was planned has become wrong meanwhile.
   */
  applyCommands(commands: readonly RuntimeCommand[], desired: Rendered): Promise<CommandOutcome> {
    const startedAt = performance.now();
    return this.#mutex(async (): Promise<CommandOutcome> => {
      if (this.#reapers.some((reaper) => reaper.isOutdated(commands, this.#running))) return { kind: 'superseded' };
      const replies = await this.#run(commands);
      if (replies.length > 0) return { kind: 'unexpected', replies };
      // Commands beside any plan come with what runs already.
      if (desired !== this.#running) this.#intended = desired;
      this.#running = desired;
      return { kind: 'applied', tookMs: performance.now() - startedAt };
    }).catch((error: unknown): CommandOutcome => {
      if (error instanceof AppError) return { kind: 'failed', error, problems: [] };
      throw error;
    });
  }

  /**
   * Sees whether it still serves. Throws an AppError where it does not answer in time, also where other questions wait
   * before this one, or where another process answers.
   */
  async checkAlive(): Promise<void> {
    this.#answering ??= this.#ask(frame([], this.frame)).finally(() => {
      this.#answering = null;
    });
    this.#identify(unframe(await inTime(this.#answering)).from);
  }

  /** What it has of these, by owner. Throws an AppError where it does not answer, or another process does. */
  async observe(owners: readonly Owner[]): Promise<ReadonlyMap<Owner, Seen>> {
    const all = new Map<Owner, Seen>();
    for (const resource of resources) {
      const parts = resource.parts(this.#running);
      const its = owners.filter((owner) => parts.has(owner));
      if (its.length === 0) continue;
      const { from, seen } = await resource.observe(this.#ask, its, this.#running, this.frame);
      for (const each of from) this.#identify(each);
      for (const [owner, part] of seen) all.set(owner, part);
    }
    return all;
  }

  /** What was read back counts as what runs; `leaving` was found to be on its way out. */
  acceptObserved(running: Rendered, leaving: readonly Leaving[]): void {
    this.#running = running;
    for (const each of leaving) for (const reaper of this.#reapers) reaper.found(each);
  }

  /** Deletes what was removed and is idle by now, and closes what `drainTimeout` has left of the rest. */
  async reap(drainTimeoutMs: Ms): Promise<Reaped> {
    const due = this.#reapers.filter(({ isDue }) => isDue);
    if (due.length === 0) return { closed: 0, unexpected: [] };
    return this.#mutex(async () => {
      let closed = 0;
      let unexpected: readonly UnexpectedReply[] = [];
      for (const reaper of due) {
        const next = await reaper.next(this.#ask, { drainTimeoutMs, ...this.frame });
        closed += next.closed;
        unexpected = [...unexpected, ...(await this.#run(next.commands))];
      }
      return { closed, unexpected };
    });
  }

  /** Rank by rank: nothing goes whose replacement did not come. Returns the replies that are not known to be good. */
  async #run(commands: readonly RuntimeCommand[]): Promise<readonly UnexpectedReply[]> {
    const unexpected: UnexpectedReply[] = [];
    for (const rank of byRank(commands)) {
      const options = { capabilities: this.#capabilities, prefix: this.#prefix };
      const failed = new Set(unexpected.map(({ command }) => ownerOf(command)));
      const sent = rank.filter(
        (command) =>
          !resourceOf(command)
            .needs(command)
            .some((owner) => failed.has(owner)),
      );
      for (const batch of toBatches(sent, options)) {
        const { from, verdicts } = readBatch(batch, await this.#ask(batch.line), options);
        this.#identify(from);
        for (const [at, command] of batch.items.entries()) {
          const verdict: Verdict = verdicts[at] ?? { kind: 'unexpected', command, reply: '' };
          for (const reaper of this.#reapers) reaper.note(command, verdict, options.capabilities);
          if (verdict.kind !== 'unexpected') continue;
          unexpected.push(verdict);
          this.#capabilities = resourceOf(command).learn(this.#capabilities, command, verdict.reply);
        }
      }
    }
    return unexpected;
  }

  #identify(from: Info | null): void {
    if (from === null)
      throw new AppError('MYELIN_SOCKET_FAILED', 'HAProxy’s runtime API did not say which process answered');
    this.#startTimeSec ??= from.startTimeSec;
    if (from.pid === this.pid && from.startTimeSec === this.#startTimeSec) {
      this.#isStopping = from.stopping;
      return;
    }
    throw new AppError(
      'MYELIN_SOCKET_FAILED',
      `HAProxy’s runtime API: process ${from.pid} answered in the place of ${this.pid}`,
    );
  }
}

/** In their order within each rank. */
function byRank(commands: readonly RuntimeCommand[]): readonly (readonly RuntimeCommand[])[] {
  const ranked = resources.flatMap((resource) => {
    const its = commands.filter(({ kind }) => kind === resource.kind);
    const ranks = resource.ranks(its);
    return its.map((command, at) => ({ command, rank: ranks[at] ?? 0 }));
  });
  const groups = Map.groupBy(ranked, ({ rank }) => rank);
  return [...groups].toSorted(([a], [b]) => a - b).map(([, its]) => its.map(({ command }) => command));
}
