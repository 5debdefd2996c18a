/**
 * Backends that commands are about to add, written down before anything is sent: where Myelin is killed before it has
 * recorded them, the next one knows what to look for. Not synced to disk: with the machine, HAProxy ends as well.
 */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readIfPossible, removeIfThere } from '../../lib/files/files.ts';
import type { Section } from '../../model.ts';
import type { Generation } from './generation.ts';

type InFolder = Pick<Generation, 'folder'>;

const shape: z.ZodType<readonly Section[]> = z.array(
  z.object({
    kind: z.literal('backend'),
    name: z.string(),
    text: z.string(),
    service: z.string().nullable(),
    queryKey: z.string().exactOptional(),
    sharesOptions: z.literal(true).exactOptional(),
  }),
);

export class ComingBackends {
  /** Files about what the record may lack. */
  readonly #open = new Set<string>();
  #count = 0;

  /** Returns what to call once the backends run, or where nothing was sent. */
  async announce({ folder }: InFolder, sections: readonly Section[]): Promise<() => void> {
    const name = `coming-${process.pid}-${++this.#count}.json`;
    this.#open.add(name);
    // What is wrong with the folder is reported when the record is written there.
    await writeFile(join(folder, name), JSON.stringify(sections), { mode: 0o640 }).catch(() => {});
    return () => this.#open.delete(name);
  }

  /** Called before what runs is recorded. Returns what to call afterwards: removes what the record holds. */
  recording({ folder }: InFolder): () => Promise<void> {
    const open = new Set(this.#open);
    const last = this.#count;
    const isLacking = (name: string): boolean => open.has(name) || numberIn(name) > last;
    return async () => {
      const names = (await namesIn(folder)).filter((name) => !isLacking(name));
      await Promise.all(names.map((name) => removeIfThere(join(folder, name))));
    };
  }
}

/** `recorded` with the backends that may have come since. */
export async function withComing({ folder }: InFolder, recorded: readonly Section[]): Promise<readonly Section[]> {
  const texts = await Promise.all((await namesIn(folder)).map((name) => readIfPossible(join(folder, name))));
  const known = new Set(recorded.flatMap(({ kind, name }) => (kind === 'backend' ? [name] : [])));
  const coming = new Map(texts.flatMap(read).map((section) => [section.name, section]));
  for (const name of known) coming.delete(name);
  return coming.size === 0 ? recorded : [...recorded, ...coming.values()];
}

/** Nothing where Myelin was killed while it wrote: then it has sent nothing. */
function read(text: Buffer | null): readonly Section[] {
  try {
    return text === null ? [] : shape.parse(JSON.parse(text.toString('utf8')));
  } catch {
    return [];
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names.filter((name) => pattern.test(name));
}

const pattern = /^coming-(\d+)-(\d+)\.json$/;

/** 0 where an earlier Myelin has written it. */
function numberIn(name: string): number {
  const [, pid, number] = pattern.exec(name) ?? [];
  return Number(pid) === process.pid ? Number(number) : 0;
}
