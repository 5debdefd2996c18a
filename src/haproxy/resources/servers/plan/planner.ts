/**
 * Which changed sections are backends of ours in which only servers differ, and what those changes take. Hand-written
 * sections are never touched, and a `listen` section is no backend here.
 */
import type { Rendered, Section, ServerCommand } from '../../../../model.ts';
import { readFile } from '../../../text/inherited-config.ts';
import type { Planner, RuntimeState } from '../../resource.ts';
import type { Backend } from './backend.ts';
import { changeServers } from './change-servers.ts';
import { agentOf } from './options.ts';
import { areOurs, backendIn, changed, isOurs } from './section.ts';

export function planServers(
  running: Rendered,
  desired: Rendered,
  { capabilities, leaving, started }: RuntimeState,
): Planner {
  const before = readFile(running.sections);
  const after = readFile(desired.sections);
  const startedBackend = startedBackends(started ?? []);
  const left = Map.groupBy(
    leaving.filter((each) => each.kind === 'server'),
    ({ backend }) => backend,
  );
  return {
    section(old, now) {
      if (old === null || now === null || !areOurs(old, now)) return null;
      const a = backendIn(before, old);
      const b = backendIn(after, now);
      if (a === null || b === null) return null;
      if (a.structure !== b.structure) return 'structure';
      const { commands, obstacles, becomes } = changeServers(a, b, {
        capabilities,
        leaving: left.get(b.name) ?? [],
        started: () => startedBackend(b.name),
        isMentioned: (server) => after.mentions(b.name, server),
      });
      return { commands, obstacles, after: () => (obstacles.length === 0 ? now : changed(old, now, becomes)) };
    },
  };
}

/**
 * No word in the file keeps an agent from calling a server ready that its line takes out.
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

/** Read only where it is asked for: most changes need none of it. */
function startedBackends(sections: readonly Section[]): (name: string) => Backend | null {
  let byName: ReadonlyMap<string, Section> | null = null;
  const file = readFile(sections);
  return (name) => {
    byName ??= new Map(sections.filter(({ kind }) => kind === 'backend').map((section) => [section.name, section]));
    const section = byName.get(name);
    return section === undefined ? null : backendIn(file, section);
  };
}
