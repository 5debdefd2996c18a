/**
 * Decides how HAProxy gets from what runs to what is desired: by nothing, by runtime commands or by a reload, and for which
 * reasons. Where only comments, blank lines or indentation differ, the file is written and HAProxy is left alone.
 */
import { resources } from '../haproxy/resources/index.ts';
import type { Change, Owner, Planner, RuntimeState } from '../haproxy/resources/resource.ts';
import type { Plan, ReloadCode, ReloadReason, Rendered, RuntimeCommand, Section } from '../model.ts';
import { compare, keyed, trim } from './compare.ts';

type ReloadPlan = Exclude<Plan, { readonly kind: 'runtime' }>;

/**
 * Plans for an HAProxy that takes commands: commands where they can make every difference, else a reload. `forced`: further
 * reasons for a reload, which the sections do not show.
 */
export function planChange(
  running: Rendered,
  desired: Rendered,
  process: RuntimeState,
  forced: readonly ReloadReason[] = [],
): Plan {
  const { reasons, commands } = compare(running.sections, desired.sections, plannerFor(running, desired, process));
  const plan = reload(running, reasons, forced);
  return plan.kind === 'none' && commands.length > 0 ? { kind: 'runtime', commands } : plan;
}

/** Plans for an HAProxy that takes no commands: every difference is a reload. `running` is null where no HAProxy of ours runs. */
export function planReload(
  running: Rendered | null,
  desired: Rendered,
  forced: readonly ReloadReason[] = [],
): ReloadPlan {
  const reasons = running === null ? [] : compare(running.sections, desired.sections, noCommands).reasons;
  return reload(running, reasons, forced);
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
  const now = keyed(after);
  const targets = new Map<Section, Section>();
  for (const [key, old] of keyed(before)) {
    const section = except.has(key) ? undefined : now.get(key);
    if (section !== undefined && section.text !== old.text) targets.set(old, withinStructure(old, section));
  }
  const target = { ...running, sections: running.sections.map((section) => targets.get(section) ?? section) };
  const planner = plannerFor(running, target, process);
  const commands: RuntimeCommand[] = [];
  const sections = running.sections.map((old, at) => {
    const section = target.sections[at];
    const change = section === undefined || section === old ? null : planner.section(old, section);
    if (change === null || change === 'structure') return old;
    for (const command of change.commands) commands.push(command);
    return change.after();
  });
  return commands.length === 0 ? null : { desired: { ...running, sections }, commands };
}

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

function withinStructure(old: Section, now: Section): Section {
  for (const resource of resources) {
    const section = resource.withinStructure(old, now);
    if (section !== old) return section;
  }
  return old;
}

/** Reasons that say why no HAProxy runs. */
const startCodes: ReadonlySet<ReloadCode> = new Set(['first_start', 'haproxy_exited']);

const noCommands: Planner = { section: () => null };

function reload(
  running: Rendered | null,
  differences: readonly ReloadReason[],
  forced: readonly ReloadReason[],
): ReloadPlan {
  const reasons = [...forced, ...differences];
  if (running === null && !forced.some(({ code }) => startCodes.has(code))) reasons.unshift({ code: 'first_start' });
  return reasons.length === 0 ? { kind: 'none' } : { kind: 'reload', reasons };
}
