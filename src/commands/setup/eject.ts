/** `myelin eject`: copies the built-in templates, to be changed and named under `templates` in the config. */
import { basename, join } from 'node:path';
import { exitCodes } from '../../errors.ts';
import { builtInTemplates } from '../../settings/templates.ts';
import { ownVersion } from '../../version.ts';
import type { Globals } from '../globals.ts';
import { writeNewFile } from './new-file.ts';

export async function eject(_globals: Globals, folder: string, options: { readonly force?: true }): Promise<number> {
  for (const { file, text } of builtInTemplates().values()) {
    const path = join(folder, basename(file));
    await writeNewFile(path, copyOf(text), { force: options.force === true });
    process.stdout.write(`${path} written\n`);
  }
  process.stdout.write(
    `next: set \`templates: ${folder}\` in myelin.yaml and delete the files that you leave as they are\n`,
  );
  return exitCodes.ok;
}

/** After an upgrade somebody has to know which built-in template this one was made from. */
export function copyOf(template: string): string {
  return `{{! A copy of the built-in template of Myelin ${ownVersion()}. }}\n${template}`;
}
