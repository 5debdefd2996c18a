/** `myelin eject`: copies the built-in templates, to be changed and named under `templates` in the config. */
import { basename, join } from 'node:path';
import { exitCodes } from '../../errors.ts';
import { builtInTemplates } from '../../settings/templates.ts';
import type { Globals } from '../globals.ts';
import { writeNewFile } from './new-file.ts';

export async function eject(_globals: Globals, folder: string, options: { readonly force?: true }): Promise<number> {
  for (const { file, text } of builtInTemplates().values()) {
    const path = join(folder, basename(file));
    await writeNewFile(path, text, { force: options.force === true });
    process.stdout.write(`${path} written\n`);
  }
  process.stdout.write(
    `next: set \`templates: ${folder}\` in myelin.yaml and delete the files that you leave as they are\n`,
  );
  return exitCodes.ok;
}
