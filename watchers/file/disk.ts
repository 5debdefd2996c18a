/** What is on disk at the configured path: one file, or those of a folder, each with its text or why it has none. */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, describe } from '../../src/errors.ts';

export type Text =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** Of one file: some 200,000 endpoints. */
const mostBytes = 8 * 2 ** 20;

/** By path, in order of name. Throws when the path itself gives nothing to read. */
export async function readAll(path: string): Promise<ReadonlyMap<string, Text>> {
  const files = await filesAt(path);
  return new Map(await Promise.all(files.map(async (file) => [file, await readText(file)] as const)));
}

/** Changes when a file does: cheap enough to ask for every second. */
export async function stamp(path: string): Promise<string> {
  try {
    const files = await filesAt(path);
    const stamps = await Promise.all(
      files.map(async (file) => {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
        return `${file} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      }),
    );
    return stamps.join('\n');
  } catch (error) {
    return describe(error);
  }
}

async function filesAt(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
    if (names.length > 0) return names.map((name) => join(path, name));
  } catch (cause) {
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot read ${path}`, { cause });
  }
  // As likely somebody is just replacing them all as that nothing shall be served any more.
  throw new AppError('MYELIN_SOURCE_FAILED', `${path} holds no *.yaml, *.yml or *.json file`);
}

async function readText(file: string): Promise<Text> {
  try {
    // A pipe that nobody writes to would be waited for, for ever.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await handle.stat();
    if (size > mostBytes)
      return { kind: 'unreadable', reason: `${file} has ${size} bytes, more than the ${mostBytes} that are read` };
    return { kind: 'text', text: await handle.readFile('utf8') };
  } catch (error) {
    return { kind: 'unreadable', reason: `cannot read ${file}: ${describe(error)}` };
  }
}
