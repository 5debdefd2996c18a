/** Reads the file at the configured path, or the files of a folder: the text of each, or why it cannot be read. */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, describe } from '../../src/errors.ts';

export type Text =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unreadable'; readonly reason: string };

/** The limit of one file: some 200,000 endpoints. */
const mostBytes = 8 * 2 ** 20;

/** By path, in order of name. Throws where the path itself cannot be read. */
export async function readAll(path: string): Promise<ReadonlyMap<string, Text>> {
  const files = await filesAt(path);
  return new Map(await Promise.all(files.map(async (file) => [file, await readText(file)] as const)));
}

/** Changes when a file does. Cheap enough to compute every second. */
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
  // An empty folder may mean that its files are just being replaced: that is no empty result.
  throw new AppError('MYELIN_SOURCE_FAILED', `${path} holds no *.yaml, *.yml or *.json file`);
}

async function readText(file: string): Promise<Text> {
  try {
    // Opening a pipe without a writer would block for ever.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await handle.stat();
    if (size > mostBytes)
      return { kind: 'unreadable', reason: `${file} has ${size} bytes, more than the ${mostBytes} that are read` };
    return { kind: 'text', text: await handle.readFile('utf8') };
  } catch (error) {
    return { kind: 'unreadable', reason: `cannot read ${file}: ${describe(error)}` };
  }
}
