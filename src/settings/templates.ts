/** Reads the templates: those in the folder of the config, and the built-in ones for the rest. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { didYouMean } from '../lib/did-you-mean.ts';
import { type ReadFile, readOnce } from '../lib/files/read-file.ts';
import { ownPath, ownText } from '../lib/own-package.ts';
import type { TemplateSource } from '../render/templates/template-error.ts';

/** The parts of a config file; the template `haproxy.cfg` joins them. */
export const templateNames = [
  'haproxy.cfg',
  'global',
  'defaults',
  'shared-frontend',
  'frontend',
  'backend',
  'server',
  'stats',
  'prometheus',
] as const;

export type Templates = {
  /** By name. */
  readonly sources: ReadonlyMap<string, TemplateSource>;
  /** The folder of the config and the files that were read from it. */
  readonly files: readonly string[];
};

/** Throws an AppError where the folder or one of its files cannot be read, or a file has the name of no template. */
export async function readTemplates(folder: string | undefined, readFile: ReadFile = readOnce): Promise<Templates> {
  const overrides = folder === undefined ? [] : await listTemplates(folder);
  const own = await Promise.all(
    overrides.map(async ({ name, file }) => [name, await readTemplate(file, readFile)] as const),
  );
  return {
    sources: new Map([...builtInTemplates(), ...own]),
    files: folder === undefined ? [] : [folder, ...overrides.map(({ file }) => file)],
  };
}

/** By name. */
export function builtInTemplates(): ReadonlyMap<string, TemplateSource> {
  return new Map(
    templateNames.map((name) => {
      const path = `templates/${fileName(name)}`;
      return [name, { file: ownPath(path), text: ownText(path) }];
    }),
  );
}

async function listTemplates(folder: string): Promise<{ name: string; file: string }[]> {
  const known: readonly string[] = templateNames.map(fileName);
  let entries: string[];
  try {
    entries = await readdir(folder);
  } catch (cause) {
    throw new AppError('MYELIN_TEMPLATE_INVALID', `cannot read the folder of templates ${folder}`, {
      cause,
      remedy: 'name a folder under `templates` that Myelin may read; `myelin eject` makes one',
    });
  }
  const found = entries.filter((entry) => entry.endsWith('.hbs') && !entry.startsWith('.')).sort();
  const unknown = found.filter((entry) => !known.includes(entry));
  if (unknown.length > 0)
    throw new AppError(
      'MYELIN_TEMPLATE_INVALID',
      unknown
        .map((entry) => `${join(folder, entry)}: there is no template of this name${didYouMean(entry, known)}`)
        .join('\n'),
      { remedy: `the names are ${known.join(', ')}` },
    );
  return found.map((entry) => ({ name: entry.slice(0, -'.hbs'.length), file: join(folder, entry) }));
}

function fileName(name: string): string {
  return `${name}.hbs`;
}

async function readTemplate(file: string, readFile: ReadFile): Promise<TemplateSource> {
  try {
    const text = (await readFile(file)).toString('utf8');
    return { file, text: text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n') };
  } catch (cause) {
    throw new AppError('MYELIN_TEMPLATE_INVALID', `cannot read the template ${file}`, { cause });
  }
}
