/**
 * One HAProxy process that takes runtime commands: holds what runs in it as far as known, sends commands to it and reads it
 * back. Each answer names the process that gave it, and only those of this process count: after a reload another one may
 * answer at the same socket.
 */
import { AppError } from '../../errors.ts';
import { type Capabilities, capabilitiesOf } from '../../haproxy/binary/capabilities.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import { type Frame, frame, unframe } from '../../haproxy/cli/framing.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { inTime } from '../../haproxy/cli/socket.ts';
import { type BackendHealth, readDownBackends, readHealth } from '../../haproxy/cli/stats.ts';
import { carryOut } from '../../haproxy/resources/batch.ts';
import { ownerOf, resourceOf, resources } from '../../haproxy/resources/index.ts';
import {
  type Owner,
  type Reaper,
  type Resource,
  type Seen,
  type Touched,
  tripOf,
  type UnexpectedReply,
} from '../../haproxy/resources/resource.ts';
import { createMutex } from '../../lib/mutex.ts';
import type { Leaving, Moment, Ms, Rendered, RuntimeCommand, Section } from '../../model.ts';
import type { CommandOutcome, Rotation, Runtime, SeenByKind } from '../driver.ts';

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
  /** The prefix that its command line needs before each command, as at a master. */
  readonly prefix?: string;
};

export class Worker implements Runtime {
  readonly pid: number;
  readonly started: readonly Section[] | null;
  /** What runs in it, as far as is known. */
  #running: Rendered;
  /** What Myelin last brought it to. The config file gets this, and never drift that was read back. */
  #intended: Rendered;
  /** One for each resource that is removed in steps. */
  readonly #reapers: readonly Reaper[];
  readonly #prefix: string;
  /** Changes and deletions take turns, since a change may bring back a removed server that is about to be deleted. */
  readonly #mutex = createMutex();
  #capabilities: Capabilities;
  #ask: Ask;
  /** The liveness query without an answer so far. */
  #answering: Promise<string> | null = null;
  #isStopping = false;
  /** As the first answer says. PID and start time together identify a process. */
  #startTimeSec: number | null = null;

  constructor({ pid, version, started, running, ask, now, prefix = '' }: WorkerOptions) {
    this.pid = pid;
    this.#running = running;
    this.#intended = running;
    this.#capabilities = capabilitiesOf(version, running.sections);
    this.started = started;
    this.#ask = ask;
    this.#prefix = prefix;
    this.#reapers = resources.flatMap((resource) => resource.createReaper?.(now) ?? []);
  }

  /** The process is stopping: it accepts no new connections. */
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

  /** For the next Myelin, which reads this from disk. */
  get leavingToRecord(): readonly Leaving[] {
    return this.#reapers.flatMap(({ toRecord }) => toRecord);
  }

  recallLeaving(leaving: readonly Leaving[]): void {
    for (const reaper of this.#reapers) reaper.recall(leaving);
  }

  /** The commands that it takes, by its version and its replies so far. */
  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  /** The form of the lines that it takes. */
  get frame(): Frame {
    return { prefix: this.#prefix, maxBytes: this.#capabilities.maxLineBytes };
  }

  /** Sends all lines by `ask` from now on. */
  reach(ask: Ask): void {
    this.#ask = ask;
  }

  /**
   * Brings the process to `desired` by commands. Where a reply does not confirm its command, `running` stays as it was, and
   * what really runs has to be read back. Nothing is sent where the plan is outdated (`superseded`).
   */
  applyCommands(commands: readonly RuntimeCommand[], desired: Rendered): Promise<CommandOutcome> {
    const startedAt = performance.now();
    return this.#mutex(async (): Promise<CommandOutcome> => {
      if (this.#reapers.some((reaper) => reaper.isOutdated(commands, this.#running))) return { kind: 'superseded' };
      const replies = await this.#run(commands);
      if (replies.length > 0) return { kind: 'unexpected', replies };
      // Commands that belong to no plan come with `running` itself.
      if (desired !== this.#running) this.#intended = desired;
      this.#running = desired;
      return { kind: 'applied', tookMs: performance.now() - startedAt };
    }).catch((error: unknown): CommandOutcome => {
      if (error instanceof AppError) return { kind: 'failed', error, problems: [] };
      throw error;
    });
  }

  /**
   * Checks whether the process answers. Throws an AppError where another process answers, or none in time; the wait
   * behind other queries counts.
   */
  async checkAlive(): Promise<void> {
    this.#answering ??= this.#ask(frame([], this.frame)).finally(() => {
      this.#answering = null;
    });
    this.#identify(unframe(await inTime(this.#answering)).from);
  }

  /** Reads back these parts, by resource and owner. Throws an AppError where the process does not answer, or another one does. */
  async observe(
    owners: readonly Owner[],
    rotation: Rotation = noRotation,
    touched: Touched = new Map(),
  ): Promise<SeenByKind> {
    const all = new Map(resources.map(({ kind }) => [kind, new Map<Owner, Seen>()] as const));
    const of = { running: this.#running, capabilities: this.#capabilities, touched };
    for (const resource of resources) {
      const its = ownersOf(resource, owners, this.#running, rotation);
      if (its.length === 0) continue;
      const { from, seen } = await resource.observe(this.#ask, its, of, this.frame);
      for (const each of from) this.#identify(each);
      for (const [owner, part] of seen) all.get(resource.kind)?.set(owner, part);
    }
    return all;
  }

  /** What HAProxy says of these backends and their servers. Throws an AppError where the process does not answer, or another one does. */
  async health(backends: readonly string[]): Promise<ReadonlyMap<string, BackendHealth>> {
    const { from, health } = await readHealth(this.#ask, backends, this.frame);
    for (const each of from) this.#identify(each);
    return health;
  }

  /** The names of all backends without a server up. Throws an AppError where the process does not answer, or another one does. */
  async downBackends(): Promise<ReadonlySet<string>> {
    const { from, down } = await readDownBackends(this.#ask, this.frame);
    for (const each of from) this.#identify(each);
    return down;
  }

  /** What was read back counts as what runs; `leaving` was found to be on its way out. */
  acceptObserved(running: Rendered, leaving: readonly Leaving[]): void {
    this.#running = running;
    for (const each of leaving) for (const reaper of this.#reapers) reaper.found(each);
  }

  /**
   * Deletes what was removed and is idle by now, and closes what `drainTimeout` has left of the rest. Changes go in between the
   * questions and the deletions: none waits for an answer that is not about it.
   */
  async reap(drainTimeoutMs: Ms): Promise<Reaped> {
    let closed = 0;
    let unexpected: readonly UnexpectedReply[] = [];
    for (const reaper of this.#reapers.filter(({ isDue }) => isDue)) {
      const next = await reaper.look(this.#ask, { drainTimeoutMs, ...this.frame });
      await this.#mutex(async () => {
        const { commands, closed: its } = next();
        closed += its;
        unexpected = [...unexpected, ...(await this.#run(commands))];
      });
    }
    return { closed, unexpected };
  }

  /** Sends trip by trip, so that nothing is removed before its replacement is there. Returns the replies that confirm nothing. */
  async #run(commands: readonly RuntimeCommand[]): Promise<readonly UnexpectedReply[]> {
    const unexpected: UnexpectedReply[] = [];
    /** The lowest rank at which something of an owner failed. */
    const failedAt = new Map<Owner, number>();
    for (const trip of byTrip(commands)) {
      const lacksSome = (command: RuntimeCommand): boolean => {
        const rank = trip.get(command) ?? 0;
        return resourceOf(command)
          .needs(command)
          .some((owner) => (failedAt.get(owner) ?? rank) < rank);
      };
      const options = { capabilities: this.#capabilities, prefix: this.#prefix };
      const sent = [...trip.keys()].filter((command) => !lacksSome(command));
      const identify = (from: Info | null): void => this.#identify(from);
      for await (const [command, verdict] of carryOut(sent, (line) => this.#ask(line), identify, options)) {
        for (const reaper of this.#reapers) reaper.note(command, verdict, options.capabilities);
        if (verdict.kind !== 'unexpected' || lacksSome(command)) continue;
        unexpected.push(verdict);
        const [owner, rank] = [ownerOf(command), trip.get(command) ?? 0];
        failedAt.set(owner, Math.min(failedAt.get(owner) ?? rank, rank));
        this.#capabilities = resourceOf(command).learn(this.#capabilities, command, verdict.reply);
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

const noRotation: Rotation = { isNewRound: false, rotated: new Set() };

/** Which of its parts are read. */
function ownersOf(
  resource: Resource,
  owners: readonly Owner[],
  running: Rendered,
  { isNewRound, rotated }: Rotation,
): readonly Owner[] {
  const isTogether = resource.isReadTogether === true;
  if (isTogether && isNewRound) return [...resource.parts(running).keys()];
  const asked = isTogether ? owners.filter((owner) => !rotated.has(owner)) : owners;
  const parts = resource.parts(running, asked);
  return asked.filter((owner) => parts.has(owner));
}

/** The commands of each trip with their ranks, the lowest first; within a rank they keep their order. */
function byTrip(commands: readonly RuntimeCommand[]): readonly ReadonlyMap<RuntimeCommand, number>[] {
  const ranked = resources.flatMap((resource) => {
    const its = commands.filter(({ kind }) => kind === resource.kind);
    const ranks = resource.ranks(its);
    return its.map((command, at): [RuntimeCommand, number] => [command, ranks[at] ?? 0]);
  });
  const inOrder = ranked.toSorted(([, a], [, b]) => a - b);
  return [...Map.groupBy(inOrder, ([, rank]) => tripOf(rank)).values()].map((trip) => new Map(trip));
}
