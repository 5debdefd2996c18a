/** Backends of services that come and go while HAProxy runs: which can, and by which commands. */
import type { BackendCommand, LeavingBackend, LeavingServer, Rendered, Section } from '../../../model.ts';
import { notableIn } from '../../text/inherited-config.ts';
import { optionSetOf, optionSetsIn } from '../../text/layout/layout.ts';
import type { OptionSet } from '../../text/layout/shared-options.ts';
import { backendNames, namesBackend } from '../../text/named-backends.ts';
import { isMap, leadsTo } from '../maps/plan.ts';
import type { Change, Obstacle, Planner, RuntimeState } from '../resource.ts';
import type { ServerChange } from '../servers/plan/change-servers.ts';
import { planWhole } from '../servers/plan/planner.ts';
import { areOurs, isOurs } from '../servers/plan/section.ts';
import { isUnpublished } from './read-back.ts';

export function planBackends(running: Rendered, desired: Rendered, process: RuntimeState): Planner {
  const { capabilities, started, leaving } = process;
  const servers = planWhole(running, desired, process);
  /** The process knows only the option sets that it started with: a backend with another set takes a reload. */
  const known = (): ReadonlyMap<string, OptionSet> => optionSetsOf(started ?? running.sections);

  const isThere = backendNames(running.sections);

  const come = (now: Section): Change => {
    const backend = now.name;
    if (isThere(backend)) return waits({ code: 'proxy_added', detail: 'another section has its name' });
    const its = optionSetOf(now, desired.sections);
    if ('because' in its) return waits({ code: 'proxy_added', detail: its.because });
    const { name, text, base } = its.set;
    const late = keywordOfStart(its.set);
    if (late !== null) return waits({ code: 'proxy_added', detail: `\`${late}\` takes effect when HAProxy starts` });
    const same = known().get(name);
    if (same?.text !== text || same.base.text !== base.text) return waits({ code: 'options_unproven', detail: name });
    const left = leaving.find((each): each is LeavingBackend => each.kind === 'backend' && each.backend === backend);
    if (left !== undefined && left.from !== name)
      return waits({ code: 'proxy_added', detail: 'it still leaves, with other options' });
    const added: readonly BackendCommand[] =
      left === undefined ? [{ kind: 'backend', action: 'add', backend, from: name }] : [];
    const withSet = (): readonly Section[] => sectionsWith(started ?? running.sections, its.set);
    return changeOf(servers.come(now, withSet), added, [{ kind: 'backend', action: 'publish', backend }], now);
  };

  /** Frontends that go, as this change does. */
  const leadingFrontends = (backend: string): readonly string[] => {
    const staying = new Set(desired.sections.flatMap(({ kind, name }) => (kind === 'frontend' ? [name] : [])));
    const going = running.sections.filter(({ kind, name }) => kind === 'frontend' && !staying.has(name));
    return going.filter((section) => namesBackend(section, backend)).map(({ name }) => name);
  };

  const go = (old: Section): Change => {
    const backend = old.name;
    if (isNamed(backend, desired.sections)) return waits({ code: 'proxy_removed', detail: 'it is named elsewhere' });
    const change = servers.go(old);
    if (change === null) return changeOf(null, [], [], old);
    const frontends = leadingFrontends(backend);
    const serving = change.commands.flatMap((command): readonly LeavingServer[] => {
      if (command.action !== 'remove') return [];
      const { action: _, ...server } = command;
      return [{ ...server, isServing: true, ...(frontends.length > 0 && { frontends }) }];
    });
    // HAProxy does not delete a backend that a frontend was started with, and the last requests of its connections need it.
    const isDeleted = capabilities.backends && frontends.length === 0;
    const its = optionSetOf(old, running.sections);
    const from = 'set' in its ? its.set.name : null;
    const command: BackendCommand = isDeleted
      ? { kind: 'backend', action: 'unpublish', backend, from, serving }
      : { kind: 'backend', action: 'retire', backend, frontends, serving };
    return changeOf({ ...change, commands: [] }, [command], [], old);
  };

  return {
    section(old, now) {
      if (now === null) return old !== null && isOurs(old) ? go(old) : null;
      if (!capabilities.backends) return null;
      if (old === null) return isOurs(now) ? come(now) : null;
      if (!areOurs(old, now) || !isUnpublished(old)) return null;
      // The same backend, which somebody has unpublished.
      const change = servers.change(old, now);
      if (change === null || change === 'structure') return change;
      return { ...change, commands: [...change.commands, { kind: 'backend', action: 'publish', backend: now.name }] };
    },
  };
}

function waits(obstacle: Obstacle): Change {
  return { commands: [], obstacles: [obstacle], after: () => ({ kind: '', name: '', text: '', service: null }) };
}

function changeOf(
  servers: ServerChange | null,
  before: readonly BackendCommand[],
  behind: readonly BackendCommand[],
  section: Section,
): Change {
  if (servers === null) return waits({ code: 'backend_not_plain', detail: section.name });
  const { commands, obstacles } = servers;
  return { commands: [...before, ...commands, ...behind], obstacles, after: () => section };
}

const sets = new WeakMap<readonly Section[], ReadonlyMap<string, OptionSet>>();

function optionSetsOf(sections: readonly Section[]): ReadonlyMap<string, OptionSet> {
  let known = sets.get(sections);
  if (known === undefined) {
    known = optionSetsIn(sections);
    sets.set(sections, known);
  }
  return known;
}

/** An option that a backend has only from the start (seen on 3.4.7). What `defaults` says of it, the frontends have as well. */
function keywordOfStart({ text }: OptionSet): string | null {
  const [, keyword = null] = /^[ \t]*(compression)[ \t]/m.exec(text) ?? [];
  return keyword;
}

function sectionsWith(sections: readonly Section[], { name }: OptionSet): readonly Section[] {
  return sections.filter((section) => {
    if (!isOurs(section)) return false;
    const its = optionSetOf(section, sections);
    return 'set' in its && its.set.name === name;
  });
}

/** Whether a rule, an expression or an entry of a map leads to this backend, or reads its state. */
function isNamed(backend: string, sections: readonly Section[]): boolean {
  const isLedTo = sections.some((section) => isMap(section) && leadsTo(section, backend));
  return isLedTo || notableIn(sections).some(({ section }) => namesBackend(section, backend));
}
