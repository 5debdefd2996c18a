/** `myelin plan`: prints what `run` would do now, and why, without doing it. */
import { styleText } from 'node:util';
import { movingFrontends } from '../../apply/checks/preflight.ts';
import { type Observed, observe } from '../../apply/state/observe.ts';
import { overridesFile } from '../../config/paths.ts';
import { maskWithin } from '../../config/read/mask.ts';
import { exitCodes } from '../../errors.ts';
import { capabilitiesOf } from '../../haproxy/binary/capabilities.ts';
import { withoutPayload } from '../../haproxy/cli/payload.ts';
import { say } from '../../haproxy/resources/index.ts';
import { now } from '../../lib/time/clock.ts';
import type { Plan, Rendered, RuntimeCommand, Section } from '../../model.ts';
import { readOutput } from '../../outputs/file-output.ts';
import { planChange, planMeanwhile } from '../../plan/plan.ts';
import { diff } from '../../plan/printed-diff.ts';
import { OverrideStore } from '../../reconcile/overrides/override-store.ts';
import { overridden } from '../../reconcile/overrides/overrides.ts';
import { formatReason } from '../../report/text/format.ts';
import { printable, printableJson, printableLines } from '../../report/text/printable.ts';
import { loadSettings } from '../../settings/settings.ts';
import type { Globals } from '../globals.ts';
import { type DesiredOutput, renderDesired, warn } from './desired.ts';
import { Masking } from './masking.ts';
import { askHaproxy, assertMayWrite, assertStarts, type Opinion, temporaryFolder } from './verdict.ts';

type Options = { readonly snapshot?: string; readonly exitCode?: true };

export async function plan(globals: Globals, { snapshot, exitCode }: Options): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const observed = await observe(settings.config);
  const running = observed?.sections ?? null;
  const desired = await renderDesired(settings, process.env, { snapshot, running });
  const overrides = (await OverrideStore.open(overridesFile(settings.config), now, warn)).list();
  const { sections } = overridden(desired, overrides);
  const masking = new Masking(
    sections,
    overridden({ sections: desired.masked() }, overrides).sections,
    settings.secrets,
  );
  const planned = decide(observed, { sections });
  const moving = planned.kind === 'reload' ? await movingFrontends(sections, running ?? []) : [];
  await using folder = await temporaryFolder();
  // Only what HAProxy is to load is a matter for it.
  if (planned.kind === 'reload') await assertMayWrite(settings.config);
  const opinion = planned.kind === 'reload' ? await askHaproxy(settings, sections, folder.path) : null;
  const changes = masking.diff(diff(running ?? [], sections));
  const shown = maskPlan(planned, masking, settings.secrets);
  const outputs = (await Promise.all(desired.outputs.map(planOutput))).filter((each) => each !== null);
  process.stdout.write(
    globals.json
      ? `${printableJson({ ...shown, ...(opinion === null ? {} : { moving, haproxy: opinion.haproxy }), diff: changes, outputs }, 2)}\n`
      : describe(shown, { moving, opinion, changes, hasOutputs: outputs.length > 0 }) +
          outputs.map(describeOutput).join(''),
  );
  if (opinion !== null) {
    if (opinion.error !== null) throw opinion.error;
    for (const doubt of await assertStarts(settings, sections, observed)) warn(doubt);
  }
  const isPending = planned.kind !== 'none' || outputs.length > 0;
  return exitCode === true && isPending ? exitCodes.changesPending : exitCodes.ok;
}

type OutputChange = { readonly output: string; readonly path: string; readonly diff: string };

/** null: the file stays as it is. */
async function planOutput({ output, text }: DesiredOutput): Promise<OutputChange | null> {
  const { name, path } = output;
  const before = (await readOutput(output)) ?? '';
  if (text === null || text === before) return null;
  const section = (its: string): Section[] => (its === '' ? [] : [{ kind: 'output', name, service: null, text: its }]);
  return { output: name, path, diff: diff(section(before), section(text)) };
}

function describeOutput({ path, diff: changes }: OutputChange): string {
  return `\n${path} is written\n\n${coloured(changes)}`;
}

/** Without the memory of a running Myelin: servers that still leave, configs that HAProxy refused. */
function decide(observed: Observed | null, desired: Rendered): Shown {
  if (observed === null || observed.version === null) return forPeople(planChange(observed, desired, null), []);
  const process = { capabilities: capabilitiesOf(observed.version, observed.sections), leaving: [], started: null };
  const planned = planChange(observed, desired, process);
  const part = planned.kind === 'reload' ? planMeanwhile(observed, desired, process) : null;
  return forPeople(planned, part?.commands ?? []);
}

type Shown =
  | Extract<Plan, { readonly kind: 'none' }>
  | { readonly kind: 'runtime'; readonly commands: readonly string[] }
  /** `commands`: the changes made at once, while the reload waits. */
  | (Extract<Plan, { readonly kind: 'reload' }> & { readonly commands: readonly string[] });

/** What HAProxy says of the old config may stand among the reasons. */
function maskPlan(planned: Shown, masking: Masking, secrets: readonly string[]): Shown {
  if (planned.kind === 'none') return planned;
  const commands = planned.commands.map((command) => masking.command(command));
  return planned.kind === 'runtime' ? { ...planned, commands } : { ...maskWithin(planned, secrets), commands };
}

/** Commands as they are sent, without the texts that they carry: there are keys in them. */
function forPeople(planned: Plan, atOnce: readonly RuntimeCommand[]): Shown {
  switch (planned.kind) {
    case 'none':
      return planned;
    case 'runtime':
      return { ...planned, commands: printed(planned.commands) };
    case 'reload':
      return { ...planned, commands: printed(atOnce) };
  }
}

function printed(commands: readonly RuntimeCommand[]): readonly string[] {
  return commands.flatMap(say).map(withoutPayload);
}

type Around = {
  /** Frontends whose address takes another form. */
  readonly moving: readonly string[];
  /** Of HAProxy, where it is to load another config. */
  readonly opinion: Opinion | null;
  readonly changes: string;
  /** Whether other files change. */
  readonly hasOutputs: boolean;
};

function describe(planned: Shown, { moving, opinion, changes, hasOutputs }: Around): string {
  switch (planned.kind) {
    case 'none':
      if (changes === '') return hasOutputs ? 'HAProxy: nothing to do\n' : 'nothing to do\n';
      return `nothing but comments to write\n\n${coloured(changes)}`;
    case 'runtime':
      return `no reload, but the runtime commands\n${indented(planned.commands)}\n${coloured(changes)}`;
    case 'reload':
      return [
        `reload, because of\n${indented(planned.reasons.map(formatReason))}${gap(moving)}`,
        opinion?.error === null ? `${opinion.haproxy}\n` : '',
        planned.commands.length === 0 ? '' : `before it, the runtime commands\n${indented(planned.commands)}`,
        `\n${coloured(changes)}`,
      ].join('');
  }
}

function gap(moving: readonly string[]): string {
  if (moving.length === 0) return '';
  return `an address takes another form: ${moving.join(', ')} will refuse connections for a moment\n`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${printable(line)}\n`).join('');
}

/** Colours only where a person looks: `styleText` leaves them out when the output is a file or a pipe. */
function coloured(changes: string): string {
  const colours = { '+': 'green', '-': 'red', '@': 'cyan' } as const;
  return printableLines(changes).replace(/^([+@-]).*$/gm, (line, sign: keyof typeof colours) =>
    styleText(colours[sign], line, { stream: process.stdout }),
  );
}
