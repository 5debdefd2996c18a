/**
 * One HAProxy process that takes commands: what it is believed to have, and the means to change that and to read it.
 * Every answer is judged by who gave it: one of another process counts for nothing.
 */
import { AppError } from '../../errors.ts';
import { type Capabilities, capabilitiesOf, learn } from '../../haproxy/binary/capabilities.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { type Frame, frame, unframe } from '../../haproxy/cli/framing.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { maxLineBytes } from '../../haproxy/cli/line-limit.ts';
import { type Ask, type ReadBack, readBackends } from '../../haproxy/cli/read-back.ts';
import { readBatch, toBatches } from '../../haproxy/cli/runtime-batch.ts';
import type { UnexpectedReply, Verdict } from '../../haproxy/cli/runtime-commands.ts';
import { inTime } from '../../haproxy/cli/socket.ts';
import { serverLines } from '../../haproxy/text/text.ts';
import { createMutex } from '../../lib/mutex.ts';
import type { LeavingServer, Moment, Ms, Rendered, RuntimeCommand, Section } from '../../model.ts';
import type { CommandOutcome, RuntimeState } from '../driver.ts';
import { RemovedServers } from './removed-servers.ts';

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
  readonly sections: readonly Section[];
  readonly ask: Ask;
  readonly now: () => Moment;
  /** What its command line wants before each command. */
  readonly prefix?: string;
};

export class Worker {
  readonly pid: number;
  readonly removedServers: RemovedServers;
  /** What runs in it, as far as is known. */
  sections: readonly Section[];
  /** What it was last brought to on purpose: that goes to disk, not what somebody made of it. */
  #intended: readonly Section[];
  readonly #started: readonly Section[] | null;
  readonly #prefix: string;
  /** What is planned for a server that leaves must not meet its deletion. */
  readonly #mutex = createMutex();
  #capabilities: Capabilities;
  #ask: Ask;
  /** Asked, and not answered yet. */
  #looking: Promise<string> | null = null;
  #isStopping = false;
  /** Of the first answer; with the PID it tells one process from every other. */
  #startTimeSec: number | null = null;

  constructor({ pid, version, started, sections, ask, now, prefix = '' }: WorkerOptions) {
    this.pid = pid;
    this.sections = sections;
    this.#intended = sections;
    this.#capabilities = capabilitiesOf(version, maxLineBytes(sections));
    this.#started = started;
    this.#ask = ask;
    this.#prefix = prefix;
    this.removedServers = new RemovedServers(now);
  }

  /** Somebody told it to leave: it takes no connections any more. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  get intended(): readonly Section[] {
    return this.#intended;
  }

  get runtime(): RuntimeState {
    return { capabilities: this.#capabilities, leaving: this.removedServers.list, started: this.#started };
  }

  /** How lines for it are to be. */
  get frame(): Frame {
    return { prefix: this.#prefix, maxBytes: this.#capabilities.maxLineBytes };
  }

  /** It is spoken to in another way from now on. */
  reach(ask: Ask): void {
    this.#ask = ask;
  }

  /**
   * Brings it to `desired` by commands. Where a reply is not known to be good, `sections` stays what it was, and what
   * really runs has to be read back. Nothing is sent where what was planned has become wrong meanwhile.
   */
  applyCommands(commands: readonly RuntimeCommand[], { sections }: Rendered): Promise<CommandOutcome> {
    const startedAt = performance.now();
    return this.#mutex(async (): Promise<CommandOutcome> => {
      if (this.#isOutdated(commands)) return { kind: 'superseded' };
      const replies = await this.#run(commands);
      if (replies.length > 0) return { kind: 'unexpected', replies };
      // Commands beside any plan come with what runs already.
      if (sections !== this.sections) this.#intended = sections;
      this.sections = sections;
      return { kind: 'applied', tookMs: performance.now() - startedAt };
    }).catch((error: unknown): CommandOutcome => {
      if (error instanceof AppError) return { kind: 'failed', error, problems: [] };
      throw error;
    });
  }

  /**
   * Sees whether it still serves. Throws an AppError where it does not answer in time, or another process does: one that
   * hangs is missed as soon, however many questions stand before this one.
   */
  async look(): Promise<void> {
    this.#looking ??= this.#ask(frame([], this.frame)).finally(() => {
      this.#looking = null;
    });
    this.#identify(unframe(await inTime(this.#looking)).from);
  }

  /** Throws an AppError where it does not answer, or another process does. */
  async readBack(backends: readonly string[]): Promise<ReadBack['servers']> {
    const { from, servers } = await readBackends(this.#ask, backends, this.frame);
    for (const each of from) this.#identify(each);
    return servers;
  }

  /** What was read back counts as what runs; `leaving` are servers that were found to be on their way out. */
  acceptObserved({ sections }: Rendered, leaving: readonly LeavingServer[]): void {
    this.sections = sections;
    for (const each of leaving) this.removedServers.found(each);
  }

  /** Deletes the removed servers that are idle by now, and closes what `drainTimeout` has left of others. */
  async reap(drainTimeoutMs: Ms): Promise<Reaped> {
    if (!this.removedServers.isDue) return { closed: 0, unexpected: [] };
    return this.#mutex(async () => {
      const { commands, closed } = await this.removedServers.next(this.#ask, { drainTimeoutMs, ...this.frame });
      return { closed, unexpected: await this.#run(commands) };
    });
  }

  /** A server that was to return, because it still left, has been deleted since: it has to be added. */
  #isOutdated(commands: readonly RuntimeCommand[]): boolean {
    const [added, ready] = [serversThatGet('add', commands), serversThatGet('ready', commands)];
    const disabled = serversThatGet('maint', commands);
    return commands.some((command) => {
      const name = nameOf(command);
      const isReturning = command.kind === 're-address' && (ready.has(name) || disabled.has(name)) && !added.has(name);
      return isReturning && !this.removedServers.has(command) && !hasServer(this.sections, command);
    });
  }

  /** Servers are taken out only once those that come in their place are there: at no moment is there nobody. */
  async #run(commands: readonly RuntimeCommand[]): Promise<readonly UnexpectedReply[]> {
    const ready = serversThatGet('ready', commands);
    const takesOut = (command: RuntimeCommand): boolean =>
      command.kind === 'remove' ||
      ((command.kind === 'maint' || (command.kind === 'weight' && command.weight === 0)) &&
        !ready.has(nameOf(command)));
    const unexpected = await this.#runAll(commands.filter((command) => !takesOut(command)));
    const failing = new Set(unexpected.map(({ command }) => command.backend));
    const rest = commands.filter((command) => takesOut(command) && !failing.has(command.backend));
    return [...unexpected, ...(await this.#runAll(rest))];
  }

  async #runAll(commands: readonly RuntimeCommand[]): Promise<readonly UnexpectedReply[]> {
    const options = { capabilities: this.#capabilities, prefix: this.#prefix };
    const canDelete = this.#capabilities.deleteServer !== 'no';
    const unexpected: UnexpectedReply[] = [];
    for (const batch of toBatches(commands, options)) {
      const { from, verdicts } = readBatch(batch, await this.#ask(batch.line), options);
      this.#identify(from);
      for (const [at, command] of batch.items.entries()) {
        const verdict: Verdict = verdicts[at] ?? { kind: 'unexpected', command, reply: '' };
        this.removedServers.note(command, verdict, canDelete);
        if (verdict.kind !== 'unexpected') continue;
        unexpected.push(verdict);
        if (command.kind === 'add' || command.kind === 'delete')
          this.#capabilities = learn(this.#capabilities, command.kind, verdict.reply);
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

function hasServer(
  sections: readonly Section[],
  { backend, server }: Pick<RuntimeCommand, 'backend' | 'server'>,
): boolean {
  const section = sections.find(({ kind, name }) => kind === 'backend' && name === backend);
  return section !== undefined && serverLines(section).some(({ name }) => name === server);
}

function nameOf({ backend, server }: Pick<RuntimeCommand, 'backend' | 'server'>): string {
  return `${backend}/${server}`;
}

function serversThatGet(wanted: RuntimeCommand['kind'], commands: readonly RuntimeCommand[]): ReadonlySet<string> {
  return new Set(commands.filter(({ kind }) => kind === wanted).map(nameOf));
}
