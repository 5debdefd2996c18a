/**
 * Finds changed sections that are backends of ours in which only servers differ, and plans the changes. Hand-written
 * sections are never touched, and a `listen` section is no backend here.
 */
import type { Rendered, Section, ServerCommand } from '../../../../model.ts';
import { readFile } from '../../../text/inherited-config.ts';
import type { Change, Planner, RuntimeState } from '../../resource.ts';
import type { Backend } from './backend.ts';
import { changeServers, type ServerChange } from './change-servers.ts';
import { agentOf } from './options.ts';
import { areOurs, backendIn, changed, isOurs } from './section.ts';
import type { Circumstances } from './steps.ts';

export function planServers(running: Rendered, desired: Rendered, process: RuntimeState): Planner {
  const { change } = planWhole(running, desired, process);
  return { section: (old, now) => (old === null || now === null ? null : change(old, now)) };
}

/** The servers of a backend that stays, and of one that comes or goes as a whole. */
export type WholeBackends = {
  change(old: Section, now: Section): Change | 'structure' | null;
  /** `alike`: backends that HAProxy was started with and that have the same options. */
  come(now: Section, alike: () => readonly Section[]): ServerChange | null;
  go(old: Section): ServerChange | null;
};

export function planWhole(
  running: Rendered,
  desired: Rendered,
  { capabilities, leaving, started }: RuntimeState,
): WholeBackends {
  const before = readFile(running.sections);
  const after = readFile(desired.sections);
  const startedBackend = startedBackends(started ?? []);
  const left = Map.groupBy(
    leaving.filter((each) => each.kind === 'server'),
    ({ backend }) => backend,
  );
  const circumstances = (name: string): Omit<Circumstances, 'started'> => ({
    capabilities,
    leaving: left.get(name) ?? [],
    isMentioned: (server) => after.mentions(name, server),
  });
  return {
    change(old, now) {
      if (!areOurs(old, now)) return null;
      const a = backendIn(before, old);
      const b = backendIn(after, now);
      if (a === null || b === null) return null;
      if (a.structure !== b.structure) return 'structure';
      const { commands, obstacles, becomes } = changeServers(a, b, {
        ...circumstances(b.name),
        started: () => startedBackend(b.name),
      });
      return { commands, obstacles, after: () => (obstacles.length === 0 ? now : changed(old, now, becomes)) };
    },
    come(now, alike) {
      const b = backendIn(after, now);
      if (b === null) return null;
      const both = (): Backend => {
        const file = readFile(started ?? running.sections);
        const servers = alike().flatMap((section) => [...(backendIn(file, section)?.servers ?? [])]);
        return { ...b, servers: new Map(servers.map(([, server]) => [server.signature, server])) };
      };
      const proven = b.balance === 'dynamic' ? both : () => startedBackend(b.name);
      const change = changeServers(without(b), b, { ...circumstances(b.name), started: proven });
      // Where the backend still leaves, those of its servers that are not to come back leave now.
      const others = (left.get(b.name) ?? []).filter(({ isServing, server }) => isServing && !b.servers.has(server));
      const removed = others.map(({ isServing: _, ...server }): ServerCommand => ({ ...server, action: 'remove' }));
      return { ...change, commands: [...change.commands, ...removed] };
    },
    go(old) {
      const a = backendIn(before, old);
      return a === null ? null : changeServers(a, without(a), { ...circumstances(a.name), started: () => null });
    },
  };
}

/** The same without servers. */
function without(backend: Backend): Backend {
  return { ...backend, servers: new Map(), lines: backend.structure, ordered: [] };
}

/**
 * Disables the agents of disabled servers: the file cannot prevent an agent from calling such a server ready.
 */
export function silencedAgents({ sections }: Rendered): readonly ServerCommand[] {
  const file = readFile(sections);
  return sections
    .filter((section) => isOurs(section) && section.text.includes('disabled'))
    .flatMap((section) =>
      [...(backendIn(file, section)?.servers.values() ?? [])].map((server) => ({ section, server })),
    )
    .flatMap(({ section, server: { name, isDisabled, options } }): readonly ServerCommand[] => {
      const agent = agentOf(options);
      return isDisabled && agent.hasAgent
        ? [{ kind: 'server', action: 'maint', backend: section.name, server: name, ...agent }]
        : [];
    });
}

/** Read on demand: most changes do not need it. */
function startedBackends(sections: readonly Section[]): (name: string) => Backend | null {
  let byName: ReadonlyMap<string, Section> | null = null;
  const file = readFile(sections);
  return (name) => {
    byName ??= new Map(sections.filter(({ kind }) => kind === 'backend').map((section) => [section.name, section]));
    const section = byName.get(name);
    return section === undefined ? null : backendIn(file, section);
  };
}
