/** `myelin render`: prints what would be written. */
import { maskText } from '../config/read/mask.ts';
import { exitCodes } from '../errors.ts';
import { textOf } from '../render/render.ts';
import { loadSettings } from '../settings/settings.ts';
import type { Globals } from './globals.ts';
import { renderWanted } from './wanted.ts';

export async function render(globals: Globals, { snapshot }: { readonly snapshot?: string }): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const wanted = await renderWanted(settings, process.env, { snapshot });
  const text = maskText(textOf(wanted), settings.secrets);
  const sections = wanted.sections.map(({ kind, name, service }) => ({ kind, name, service }));
  process.stdout.write(globals.json ? `${JSON.stringify({ text, sections }, null, 2)}\n` : text);
  return exitCodes.ok;
}
