/** Loads a config from texts: each test writes the files that it is about, and sees paths without the folder's name. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type LoadedConfig, loadConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/problems.ts';
import { tempFolder } from '../index.ts';

type Files = Readonly<Record<string, string | Uint8Array>> | string;

/** Loads `myelin.yaml` (the only file, where one text is given); the folder is called `/etc/myelin` in the result. */
export async function load(files: Files, env: NodeJS.ProcessEnv = {}): Promise<LoadedConfig> {
  await using folder = await tempFolder();
  const all = typeof files === 'string' ? { 'myelin.yaml': files } : files;
  for (const [name, text] of Object.entries(all)) {
    const path = join(folder.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  try {
    const loaded = await loadConfig(join(folder.path, 'myelin.yaml'), env);
    // Sources are code, and hold no paths.
    const { sources, ...others } = loaded.config;
    const { config, ...rest } = renamed({ ...loaded, config: others }, folder.path) as LoadedConfig;
    return { ...rest, config: { ...config, sources } };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { problems, files: read, socket } = renamed({ ...error }, folder.path) as typeof error;
    throw new ConfigError(problems, { files: read, socket });
  }
}

/** The message with which loading fails. */
export async function refusal(files: Files, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const message = await load(files, env).then(
    () => 'no problem at all',
    (error: unknown) => {
      if (error instanceof ConfigError) return error.message;
      throw error;
    },
  );
  return message.replaceAll('/etc/myelin/', '');
}

function renamed(value: unknown, folder: string): unknown {
  if (typeof value === 'string') return value.replaceAll(folder, '/etc/myelin');
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key, renamed(inner, folder)]));
  if (Array.isArray(value)) return value.map((item) => renamed(item, folder));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, renamed(inner, folder)]));
}
