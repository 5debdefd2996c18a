/** `myelin init`: writes a commented config to start from. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { exampleServices, type InitKind, initText } from '../config/print/init.ts';
import { AppError, exitCodes } from '../errors.ts';
import type { Globals } from './globals.ts';
import { writeNewFile } from './new-file.ts';

const kinds: readonly InitKind[] = ['consul', 'file', 'kubernetes'];

export async function init(globals: Globals, source: string, options: { readonly force?: true }): Promise<number> {
  const kind = kinds.find((known) => known === source);
  if (kind === undefined)
    throw new AppError('MYELIN_USAGE', `there is no source ${JSON.stringify(source)}; known are ${kinds.join(', ')}`);
  const force = options.force === true;
  await writeNewFile(globals.config, initText(kind), { force });
  process.stdout.write(`${globals.config} written\n`);
  const services = join(dirname(globals.config), 'services.yaml');
  if (kind === 'file' && (force || !existsSync(services))) {
    await writeNewFile(services, exampleServices, { force });
    process.stdout.write(`${services} written\n`);
  }
  process.stdout.write('next: `myelin check`, then `myelin run`\n');
  return exitCodes.ok;
}
