/**
 * The removed servers of one process: out of service, they finish the connections that they have, up to `drainTimeout`,
 * and are deleted once they are idle. Until then their names may come back.
 */

import type { Leaving, LeavingServer, Moment, Ms, Rendered, RuntimeCommand, ServerCommand } from '../../../model.ts';
import type { Capabilities } from '../../binary/capabilities.ts';
import type { Ask } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { serverLines } from '../../text/text.ts';
import type { Reaper, Reaping, Verdict } from '../resource.ts';
import { identity } from './commands.ts';
import { readSessions, type Sessions } from './read-back.ts';

type RemovedServer = LeavingServer & {
  readonly since: Moment;
  /** null while the server has connections, or was not looked at yet. */
  readonly idleSince: Moment | null;
  /** It cannot be deleted before the next reload. */
  readonly isPinned: boolean;
};

/**
 * How long a server must be idle: HAProxy before 2.8 could crash when a server was deleted while its last stream was
 * still being closed (upstream issue 2298).
 */
const idleForMs: Ms = 1000;
const lookEveryMs: Ms = 1000;

export class RemovedServers implements Reaper {
  readonly #now: () => Moment;
  readonly #removedServers = new Map<string, RemovedServer>();
  #recalled: ReadonlyMap<string, LeavingServer> = new Map();
  #lookedAt: Moment = Number.NEGATIVE_INFINITY;

  constructor(now: () => Moment) {
    this.#now = now;
  }

  get list(): readonly LeavingServer[] {
    return [...this.#removedServers.values()];
  }

  has(server: Pick<LeavingServer, 'backend' | 'server'>): boolean {
    return this.#removedServers.has(identity(server));
  }

  /** For the next Myelin, which reads this from disk. */
  get toRecord(): readonly LeavingServer[] {
    const all = new Map<string, LeavingServer>([...this.#recalled, ...this.#removedServers]);
    return [...all.values()].map(({ kind, backend, server, options, hasAgent, isServing, frontends }) => ({
      kind,
      backend,
      server,
      options,
      ...(hasAgent && { hasAgent }),
      ...(isServing && { isServing }),
      ...(frontends && { frontends }),
    }));
  }

  /** What an earlier Myelin recorded; the servers may no longer exist. */
  recall(leaving: readonly Leaving[]): void {
    const servers = leaving.filter((each) => each.kind === 'server');
    this.#recalled = new Map(servers.map((server) => [identity(server), server]));
    // A removed backend is not read back: nobody else would find its servers.
    const backends = new Set(leaving.flatMap((each) => (each.kind === 'backend' ? [each.backend] : [])));
    for (const server of servers) if (backends.has(server.backend)) this.found(server);
  }

  /** Notes what a sent command means for leaving servers. */
  note(command: RuntimeCommand, verdict: Verdict, { deleteServer }: Pick<Capabilities, 'deleteServer'>): void {
    const isLeft = command.kind === 'backend' && (command.action === 'unpublish' || command.action === 'retire');
    if (isLeft && verdict.kind === 'done') for (const server of command.serving) this.#add(server, false);
    if (command.kind !== 'server') return;
    const { kind, backend, server } = command;
    switch (command.action) {
      case 'remove':
        if (verdict.kind === 'done')
          this.#add({ kind, backend, server, options: command.options }, deleteServer === 'no');
        return;
      case 'ready':
      case 'maint':
        if (verdict.kind === 'done') this.#forget(command);
        return;
      case 'delete':
        if (verdict.kind === 'done') this.#forget(command);
        else this.#keep(command, verdict.kind !== 'busy');
        return;
      case 'add':
        if (verdict.kind === 'done') this.#forget(command);
        return;
      case 're-address':
      case 'maxconn':
      case 'weight':
      case 'shutdown':
        return;
    }
  }

  /** Something that an earlier Myelin, or an operator, removed. */
  found(server: Leaving): void {
    if (server.kind !== 'server') return;
    const key = identity(server);
    if (!this.#removedServers.has(key)) this.#add(this.#recalled.get(key) ?? server, false);
  }

  /** Whether a leaving server that the commands bring back has been deleted since: it has to be added. */
  isOutdated(commands: readonly RuntimeCommand[], running: Rendered): boolean {
    const its = commands.filter((command) => command.kind === 'server');
    const thatGet = (action: ServerCommand['action']): ReadonlySet<string> =>
      new Set(its.filter((command) => command.action === action).map(identity));
    const [added, ready, disabled] = [thatGet('add'), thatGet('ready'), thatGet('maint')];
    return its.some((command) => {
      const name = identity(command);
      const isReturning =
        command.action === 're-address' && (ready.has(name) || disabled.has(name)) && !added.has(name);
      return isReturning && !this.has(command) && !hasServer(running, command);
    });
  }

  /** Whether any server needs attention now. */
  get isDue(): boolean {
    if (this.#now() - this.#lookedAt < lookEveryMs) return false;
    return [...this.#removedServers.values()].some(isOpen);
  }

  /** Finds idle servers, to delete them, and connections that have lasted too long, to close them. */
  async look(ask: Ask, limits: Frame & { readonly drainTimeoutMs: Ms }): Promise<() => Reaping> {
    const now = this.#now();
    this.#lookedAt = now;
    const open = [...this.#removedServers.values()].filter(isOpen);
    const backends = new Set(open.map(({ backend }) => backend));
    const frontends = new Set(open.flatMap((removed) => (removed.isServing ? (removed.frontends ?? []) : [])));
    const sessions = await readSessions(ask, [...backends], [...frontends], limits);
    return () => this.#next(open, sessions, { now, drainTimeoutMs: limits.drainTimeoutMs });
  }

  #next(
    open: readonly RemovedServer[],
    { ofServers, ofBackends, ofFrontends }: Sessions,
    { now, drainTimeoutMs }: { readonly now: Moment; readonly drainTimeoutMs: Ms },
  ): Reaping {
    const commands: ServerCommand[] = [];
    let closed = 0;
    for (const removed of open) {
      const key = identity(removed);
      // It has come back since, or has left once more.
      if (this.#removedServers.get(key) !== removed) continue;
      const current = ofServers.get(key);
      const { backend, server, options, hasAgent } = removed;
      if (current === undefined) this.#forget(removed);
      else if (removed.isServing) {
        // Its backend may have requests that wait for a server.
        const isIdle =
          ofBackends.get(backend) === 0 &&
          (removed.frontends ?? []).every((frontend) => ofFrontends.get(frontend) === 0);
        if (isIdle || now - removed.since >= drainTimeoutMs)
          commands.push({ kind: 'server', action: 'remove', backend, server, options, ...(hasAgent && { hasAgent }) });
      } else if (current > 0) {
        this.#set({ ...removed, idleSince: null });
        if (now - removed.since < drainTimeoutMs) continue;
        commands.push({ kind: 'server', action: 'shutdown', backend, server });
        closed += current;
      } else if (removed.idleSince === null) this.#set({ ...removed, idleSince: now });
      else if (now - removed.idleSince >= idleForMs && !removed.isPinned)
        commands.push({ kind: 'server', action: 'delete', backend, server });
    }
    return { commands, closed };
  }

  #add(server: LeavingServer, isPinned: boolean): void {
    const before = this.#removedServers.get(identity(server));
    this.#set({ ...server, since: before?.since ?? this.#now(), idleSince: null, isPinned });
  }

  /** The server stays: it has connections again, or can never be deleted. */
  #keep(server: Pick<LeavingServer, 'backend' | 'server'>, isPinned: boolean): void {
    const removed = this.#removedServers.get(identity(server));
    if (removed !== undefined) this.#set({ ...removed, idleSince: isPinned ? removed.idleSince : null, isPinned });
  }

  #set(removed: RemovedServer): void {
    this.#removedServers.set(identity(removed), removed);
  }

  #forget(server: Pick<LeavingServer, 'backend' | 'server'>): void {
    const key = identity(server);
    this.#removedServers.delete(key);
    if (this.#recalled.has(key)) this.#recalled = new Map([...this.#recalled].filter(([other]) => other !== key));
  }
}

/** Whether the server still has to be deleted. */
function isOpen({ isPinned, idleSince }: RemovedServer): boolean {
  return !isPinned || idleSince === null;
}

function hasServer({ sections }: Rendered, { backend, server }: Pick<ServerCommand, 'backend' | 'server'>): boolean {
  const section = sections.find(({ kind, name }) => kind === 'backend' && name === backend);
  return section !== undefined && serverLines(section).some(({ name }) => name === server);
}
