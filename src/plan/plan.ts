/**
 * What it takes to bring HAProxy from what runs to what is wanted, and why. Comments, blank lines and indentation change
 * the file, which is written, and not HAProxy, which is left alone.
 */
import type { Plan, ReloadCode, ReloadReason, RuntimeCommand, Section } from '../model.ts';
import { type Changer, changeBackends, changed, type Runtime, withServersOf } from './backends.ts';
import { compare, keyed, trim } from './compare.ts';

type Forced = {
  /** Reasons that are not in the text. */
  readonly forced: readonly ReloadReason[];
};

type ReloadPlan = Exclude<Plan, { readonly kind: 'runtime' }>;

/**
 * Commands where only servers of our own backends differ and this HAProxy can; else a reload. `running` is null when
 * nothing of ours runs.
 */
export function planChange(
  running: readonly Section[] | null,
  wanted: readonly Section[],
  { forced, ...runtime }: Forced & Runtime,
): Plan {
  if (running === null) return reload(null, [], forced);
  const { reasons, commands } = compare(running, wanted, changeBackends(running, wanted, runtime));
  const plan = reload(running, reasons, forced);
  return plan.kind === 'none' && commands.length > 0 ? { kind: 'runtime', commands } : plan;
}

/** For an HAProxy that takes no commands: every difference is a reload. */
export function planReload(
  running: readonly Section[] | null,
  wanted: readonly Section[],
  { forced }: Forced,
): ReloadPlan {
  return reload(running, running === null ? [] : compare(running, wanted, noBackends).reasons, forced);
}

/**
 * While a reload waits for its turn, or is refused: what of `wanted` commands can do now, server by server, and the
 * sections that run after it. HAProxy starts from these like from the wanted ones. null: nothing.
 */
export function planMeanwhile(
  running: readonly Section[],
  wanted: readonly Section[],
  runtime: Runtime,
): { readonly sections: readonly Section[]; readonly commands: readonly RuntimeCommand[] } | null {
  const [before, after] = trim(running, wanted);
  const now = keyed(after);
  const targets = new Map<Section, Section>();
  for (const [key, old] of keyed(before)) {
    const section = now.get(key);
    if (section !== undefined && section.text !== old.text) targets.set(old, withServersOf(old, section));
  }
  const target = running.map((section) => targets.get(section) ?? section);
  const change = changeBackends(running, target, runtime);
  const commands: RuntimeCommand[] = [];
  const sections = running.map((old, at) => {
    const section = target[at];
    const outcome = section === undefined || section === old ? null : change(old, section);
    if (section === undefined || outcome === null || outcome === 'structure') return old;
    for (const command of outcome.commands) commands.push(command);
    return changed(old, section, outcome);
  });
  return commands.length === 0 ? null : { sections, commands };
}

/** Why nothing may run. */
const startCodes: ReadonlySet<ReloadCode> = new Set(['first_start', 'haproxy_exited']);

const noBackends: Changer = () => null;

function reload(
  running: readonly Section[] | null,
  differences: readonly ReloadReason[],
  forced: readonly ReloadReason[],
): ReloadPlan {
  const reasons = [...forced, ...differences];
  if (running === null && !forced.some(({ code }) => startCodes.has(code))) reasons.unshift({ code: 'first_start' });
  return reasons.length === 0 ? { kind: 'none' } : { kind: 'reload', reasons };
}
