/**
 * The removed backends of one process: nothing leads to them any more; they are deleted once their servers are, and until then
 * they may come back.
 */
import type {
  BackendCommand,
  Leaving,
  LeavingBackend,
  LeavingServer,
  Moment,
  Rendered,
  RuntimeCommand,
} from '../../../model.ts';
import type { Ask } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import type { Reaper, Reaping, Verdict } from '../resource.ts';
import { readBackends } from '../servers/read-back.ts';

const lookEveryMs = 1000;

export class RemovedBackends implements Reaper {
  readonly #now: () => Moment;
  readonly #removed = new Map<string, LeavingBackend>();
  /** `backend/server` of the servers that are already removed, or will be: the servers' own reaper deletes them. */
  readonly #servers = new Set<string>();
  #lookedAt: Moment = Number.NEGATIVE_INFINITY;

  constructor(now: () => Moment) {
    this.#now = now;
  }

  get list(): readonly LeavingBackend[] {
    return [...this.#removed.values()];
  }

  get toRecord(): readonly LeavingBackend[] {
    return this.list;
  }

  /** A backend that no longer exists is forgotten at the first look. */
  recall(leaving: readonly Leaving[]): void {
    for (const each of leaving) this.found(each);
    this.#noteRemoved(leaving.filter((each) => each.kind === 'server'));
  }

  found(leaving: Leaving): void {
    if (leaving.kind === 'backend') this.#removed.set(leaving.backend, leaving);
  }

  note(command: RuntimeCommand, verdict: Verdict): void {
    if (command.kind === 'server') this.#noteServer(command, verdict);
    if (command.kind !== 'backend') return;
    const { kind, backend, action } = command;
    const removed = this.#removed.get(backend);
    if (verdict.kind === 'done') {
      if (action === 'unpublish' || action === 'retire') {
        const from = action === 'retire' ? { from: null, isPinned: true as const } : { from: command.from };
        this.#removed.set(backend, { kind, backend, ...from });
        this.#noteRemoved(command.serving);
      } else this.#removed.delete(backend);
    } else if (action === 'delete' && verdict.kind !== 'busy' && removed !== undefined)
      this.#removed.set(backend, { ...removed, isPinned: true });
  }

  /** Whether a leaving backend that the commands bring back has been deleted since: it has to be added. */
  isOutdated(commands: readonly RuntimeCommand[], { sections }: Rendered): boolean {
    const its = commands.filter((command) => command.kind === 'backend');
    const thatGet = (action: BackendCommand['action']): readonly string[] =>
      its.filter((command) => command.action === action).map(({ backend }) => backend);
    const added = thatGet('add');
    if (added.some((backend) => this.#removed.has(backend))) return true;
    const returning = thatGet('publish').filter((backend) => !added.includes(backend) && !this.#removed.has(backend));
    return returning.some((backend) => !sections.some(({ kind, name }) => kind === 'backend' && name === backend));
  }

  get isDue(): boolean {
    if (this.#now() - this.#lookedAt < lookEveryMs) return false;
    return [...this.#removed.values()].some(({ isPinned }) => !isPinned);
  }

  /** Finds backends without servers, to delete them. A server that nobody has removed is removed here. */
  async look(ask: Ask, frame: Frame): Promise<() => Reaping> {
    this.#lookedAt = this.#now();
    const open = [...this.#removed.values()].filter(({ isPinned }) => !isPinned);
    const names = open.map(({ backend }) => backend);
    const { seen } = await readBackends(ask, names, new Set(), frame);
    return () => {
      const commands = [...seen.values()].flatMap(({ rows }, at): readonly RuntimeCommand[] => {
        const backend = names[at] ?? '';
        // It has come back since, or has left once more.
        if (this.#removed.get(backend) !== open[at]) return [];
        if (rows.length === 0) return [{ kind: 'backend', action: 'delete', backend }];
        const unknown = rows.flatMap(({ srv_name: server = '' }) =>
          this.#servers.has(`${backend}/${server}`) ? [] : [server],
        );
        // Equal to no server's options: one that comes back under its name counts as a new one.
        return unknown.map((server) => ({ kind: 'server', action: 'remove', backend, server, options: ['?'] }));
      });
      return { commands, closed: 0 };
    };
  }

  #noteServer(command: Extract<RuntimeCommand, { readonly kind: 'server' }>, verdict: Verdict): void {
    if (verdict.kind !== 'done') return;
    const name = `${command.backend}/${command.server}`;
    if (command.action === 'remove') this.#servers.add(name);
    else if (command.action === 'delete' || command.action === 'ready' || command.action === 'add')
      this.#servers.delete(name);
  }

  #noteRemoved(servers: readonly LeavingServer[]): void {
    for (const { backend, server } of servers) this.#servers.add(`${backend}/${server}`);
  }
}
