/** `myelin init`: writes a commented config to start from. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exampleFiles, initText } from '../../config/print/init.ts';
import { exitCodes } from '../../errors.ts';
import type { Globals } from '../globals.ts';
import { writeNewFile } from './new-file.ts';

export async function init(globals: Globals, source: string, options: { readonly force?: true }): Promise<number> {
  const text = initText(source);
  const force = options.force === true;
  await writeNewFile(globals.config, text, { force });
  process.stdout.write(`${globals.config} written\n`);
  for (const [name, content] of Object.entries(exampleFiles(source))) {
    const file = join(dirname(globals.config), name);
    if (!force && existsSync(file)) continue;
    await writeNewFile(file, content, { force });
    process.stdout.write(`${file} written\n`);
  }
  process.stdout.write('next: `myelin check`, then `myelin run`\n');
  return exitCodes.ok;
}
