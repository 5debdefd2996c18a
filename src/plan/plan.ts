/**
 * Decides how HAProxy gets from what runs to what is desired: by nothing, by runtime commands or by a reload, and for which
 * reasons. Where only comments, blank lines or indentation differ, the file is written and HAProxy is left alone.
 */
import { resources } from '../haproxy/resources/index.ts';
import type { Change, Owner, Planner, Rest, RuntimeState } from '../haproxy/resources/resource.ts';
import { isFile } from '../haproxy/text/layout/files.ts';
import { sameStructure } from '../haproxy/text/structure.ts';
import type { Plan, ReloadCode, ReloadReason, Rendered, RuntimeCommand, Section } from '../model.ts';
import { compare, type Keyed, keyed, trim } from './compare.ts';

/** Reasons that say why no HAProxy runs. */
const startCodes: ReadonlySet<ReloadCode> = new Set(['first_start', 'haproxy_exited']);

const noCommands: Planner = { section: () => null };

/**
 * Plans commands where they can make every difference, else a reload. `running`: null where no HAProxy of ours runs. `process`:
 * null where it takes no commands, so that every difference is a reload. `forced`: further reasons for a reload, which the
 * sections do not show.
 */
export function planChange(
  running: Rendered | null,
  desired: Rendered,
  process: RuntimeState | null,
  forced: readonly ReloadReason[] = [],
): Plan {
  if (running === null) {
    const isExplained = forced.some(({ code }) => startCodes.has(code));
    return { kind: 'reload', reasons: isExplained ? forced : [{ code: 'first_start' }, ...forced] };
  }
  const planner = process === null ? noCommands : plannerFor(running, desired, process);
  const { reasons, commands } = compare(running.sections, desired.sections, planner);
  if (forced.length + reasons.length > 0) return { kind: 'reload', reasons: [...forced, ...reasons] };
  return commands.length > 0 ? { kind: 'runtime', commands } : { kind: 'none' };
}

/**
 * Plans the commands that need not wait for a reload, which waits, is under way or was refused. Returns the commands and what
 * runs after them, which is a config that HAProxy would start from; null: there are no commands. `except`: owners whose
 * commands had no effect.
 */
export function planMeanwhile(
  running: Rendered,
  desired: Rendered,
  process: RuntimeState,
  except: ReadonlySet<Owner> = new Set(),
): { readonly desired: Rendered; readonly commands: readonly RuntimeCommand[] } | null {
  const [before, after] = trim(running.sections, desired.sections);
  const [old, now] = [keyed(before), keyed(after)];
  const targets = new Map<Section, Section | null>();
  const rest: Rest = {
    desired,
    waitsFor: (file) => waitsFor(file, old, now),
    isTakenOver: (backend) =>
      ['backend', 'listen'].some((kind) => {
        const [before, after] = [old.get(`${kind} ${backend}`), now.get(`${kind} ${backend}`)];
        return before !== undefined && after !== undefined && before.service !== after.service;
      }),
  };
  for (const [key, section] of old) {
    const target = except.has(key) ? section : now.get(key);
    if (target === undefined) {
      if (!resources.some((resource) => resource.staysUntilReload?.(section, rest))) targets.set(section, null);
    } else if (target.text !== section.text) targets.set(section, withinStructure(section, target, rest));
  }
  const start = after[0] === undefined ? 0 : desired.sections.indexOf(after[0]);
  const coming = new Set([...now].flatMap(([key, section]) => (old.has(key) || except.has(key) ? [] : [section])));
  // A section that commands alone cannot add or remove is not part of the target: nothing may lead to it.
  for (;;) {
    const steps = stepsTo(running.sections, targets, { coming, old, now, start });
    const planner = plannerFor(
      running,
      { ...running, sections: steps.flatMap(({ now: target }) => target ?? []) },
      process,
    );
    const changes = new Map<Step, Change>();
    let isPossible = true;
    for (const step of steps) {
      if (step.old === step.now) continue;
      const change = planner.section(step.old, step.now);
      if (change !== null && change !== 'structure') changes.set(step, change);
      if (step.old !== null && step.now !== null) {
        const is = isFile(step.now) && change !== null && change !== 'structure' ? change.after() : step.now;
        if (is.text === step.now.text) continue;
        // What of a map waits may lead to a backend that is to go: it stays.
        targets.set(step.old, is);
        isPossible = false;
        continue;
      }
      if (changes.get(step)?.obstacles.length === 0) continue;
      isPossible = false;
      if (step.old !== null) targets.delete(step.old);
      if (step.now !== null) coming.delete(step.now);
    }
    if (!isPossible) continue;
    const commands = [...changes.values()].flatMap((change) => change.commands);
    const sections = steps.flatMap((step) => {
      const change = changes.get(step);
      return (change === undefined ? step.old : step.now === null ? null : change.after()) ?? [];
    });
    return commands.length === 0 ? null : { desired: { ...running, sections }, commands };
  }
}

/** One place of the file; null: the section comes, or goes. */
type Step = { readonly old: Section | null; readonly now: Section | null };

/** In the order of what runs; each new section stands behind its desired predecessor. */
function stepsTo(
  running: readonly Section[],
  targets: ReadonlyMap<Section, Section | null>,
  { coming, old, now, start }: Coming,
): readonly Step[] {
  const first: Section[] = [];
  const behind = new Map<Section, Section[]>();
  let place = first;
  for (const [key, section] of coming.size === 0 ? [] : now) {
    const before = old.get(key);
    if (coming.has(section)) place.push(section);
    else if (before !== undefined) {
      place = [];
      behind.set(before, place);
    }
  }
  const come = (each: Section): Step => ({ old: null, now: each });
  const steps = running.flatMap((section, at): readonly Step[] => {
    const target = targets.get(section);
    const step: Step = { old: section, now: target === undefined ? section : target };
    return [...(at === start ? first.map(come) : []), step, ...(behind.get(section) ?? []).map(come)];
  });
  return start === running.length ? [...steps, ...first.map(come)] : steps;
}

type Coming = {
  readonly coming: ReadonlySet<Section>;
  /** All from the first difference to the last. */
  readonly old: ReadonlyMap<string, Section>;
  readonly now: ReadonlyMap<string, Section>;
  /** Where that is. */
  readonly start: number;
};

/** Asks the resources in turn; the first one that can plan the difference does. */
function plannerFor(running: Rendered, desired: Rendered, process: RuntimeState): Planner {
  const planners = resources.map((resource) => resource.plan(running, desired, process));
  return {
    section(old, now) {
      let change: Change | 'structure' | null = null;
      for (const planner of planners) {
        const its = planner.section(old, now);
        if (its !== null && its !== 'structure') return its;
        change ??= its;
      }
      return change;
    },
  };
}

/** Whether a section that names the file comes, goes or has other lines: commands change only servers. */
function waitsFor(file: string, old: Keyed, now: Keyed): boolean {
  return [...new Set([...old.keys(), ...now.keys()])].some((key) => {
    const [before, after] = [old.get(key), now.get(key)];
    const its = [before ?? [], after ?? []].flat();
    if (its.some(isFile) || !its.some(({ text }) => text.includes(file))) return false;
    return before === undefined || after === undefined || !sameStructure([before], [after]);
  });
}

function withinStructure(old: Section, now: Section, rest: Rest): Section {
  for (const resource of resources) {
    const section = resource.withinStructure(old, now, rest);
    if (section !== old) return section;
  }
  return old;
}
