/** Writes the files that `init` and `eject` make, and replaces nobody's work. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, hasCode } from '../../errors.ts';

export async function writeNewFile(path: string, text: string, { force }: { readonly force: boolean }): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { flag: force ? 'w' : 'wx' });
  } catch (cause) {
    if (hasCode(cause, 'EEXIST'))
      throw new AppError('MYELIN_USAGE', `${path} is there already`, { remedy: 'use --force to replace it' });
    throw new AppError('MYELIN_WRITE_FAILED', `cannot write ${path}`, { cause });
  }
}
