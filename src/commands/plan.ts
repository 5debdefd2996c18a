/** `myelin plan`: prints what `run` would do now, and why, without doing it. */
import { styleText } from 'node:util';
import { observe } from '../apply/observe.ts';
import { maskSecrets } from '../config/mask.ts';
import { exitCodes } from '../errors.ts';
import { diff } from '../plan/diff.ts';
import { planReload } from '../plan/plan.ts';
import { loadSettings } from '../settings.ts';
import { formatReason } from './format.ts';
import type { Globals } from './globals.ts';
import { renderWanted } from './wanted.ts';

type Options = { readonly snapshot?: string; readonly exitCode?: true };

export async function plan(globals: Globals, { snapshot, exitCode }: Options): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const running = await observe(settings.config);
  const wanted = await renderWanted(settings, process.env, { snapshot, running });
  const planned = planReload(running, wanted.sections, { forced: [] });
  const changes = maskSecrets(diff(running ?? [], wanted.sections), settings.secrets);
  if (globals.json) process.stdout.write(`${JSON.stringify({ ...planned, diff: changes }, null, 2)}\n`);
  else if (planned.kind === 'reload') {
    process.stdout.write(
      `reload, because of\n${planned.reasons.map((reason) => `  ${formatReason(reason)}\n`).join('')}`,
    );
    process.stdout.write(`\n${coloured(changes)}`);
  } else
    process.stdout.write(changes === '' ? 'nothing to do\n' : `nothing but comments to write\n\n${coloured(changes)}`);
  return exitCode === true && planned.kind !== 'none' ? exitCodes.changesPending : exitCodes.ok;
}

/** Colours only where a person looks: `styleText` leaves them out when the output is a file or a pipe. */
function coloured(changes: string): string {
  const colours = { '+': 'green', '-': 'red', '@': 'cyan' } as const;
  return changes.replace(/^([+@-]).*$/gm, (line, sign: keyof typeof colours) =>
    styleText(colours[sign], line, { stream: process.stdout }),
  );
}
