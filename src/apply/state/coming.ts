/**
 * Backends that commands are about to add, written down before anything is sent: where Myelin is killed before it has
 * recorded them, the next one knows what to look for. Every new service waits for this, so it is one write to a file that is
 * open already. Not synced to disk: with the machine, HAProxy ends as well.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { readIfPossible } from '../../lib/files/files.ts';
import { Journal } from '../../lib/files/journal.ts';
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

type Announcement = {
  readonly line: string;
  /** Its backends run, or nothing was sent. */
  isSettled: boolean;
};

export class ComingBackends implements Disposable {
  /** Of the generation of which something was said last. */
  #folder: string | null = null;
  #journal: Journal | null = null;
  /** What the record may lack. */
  readonly #announced = new Set<Announcement>();

  /** Returns what to call once the backends run, or where nothing was sent. */
  announce(generation: InFolder, sections: readonly Section[]): () => void {
    this.#turnTo(generation);
    const announcement = { line: JSON.stringify(sections), isSettled: false };
    this.#announced.add(announcement);
    this.#write((journal) => journal.add(announcement.line));
    return () => {
      announcement.isSettled = true;
    };
  }

  /** Called before what runs is recorded. Returns what to call afterwards: removes what the record holds. */
  recording(generation: InFolder): () => Promise<void> {
    this.#turnTo(generation);
    const recorded = [...this.#announced].filter(({ isSettled }) => isSettled);
    return async () => {
      if (this.#folder !== generation.folder) return;
      for (const announcement of recorded) this.#announced.delete(announcement);
      // Somebody may have removed the folder, and what was in it.
      if (!(await this.#journal?.isInPlace().catch(() => false))) this.#close();
      this.#write((journal) => journal.replace([...this.#announced].map(({ line }) => line)));
    };
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #turnTo({ folder }: InFolder): void {
    if (folder === this.#folder) return;
    this.#close();
    this.#announced.clear();
    this.#folder = folder;
  }

  #write(write: (journal: Journal) => void): void {
    if (this.#folder === null) return;
    try {
      this.#journal ??= new Journal(join(this.#folder, fileName));
      write(this.#journal);
    } catch {
      // What is wrong with the folder is reported when the record is written there.
      this.#close();
    }
  }

  #close(): void {
    this.#journal?.[Symbol.dispose]();
    this.#journal = null;
  }
}

/** `recorded` with the backends that may have come since. */
export async function withComing({ folder }: InFolder, recorded: readonly Section[]): Promise<readonly Section[]> {
  const text = (await readIfPossible(join(folder, fileName)))?.toString('utf8') ?? '';
  const known = new Set(recorded.flatMap(({ kind, name }) => (kind === 'backend' ? [name] : [])));
  const coming = new Map(
    text
      .split('\n')
      .flatMap(read)
      .map((section) => [section.name, section]),
  );
  for (const name of known) coming.delete(name);
  return coming.size === 0 ? recorded : [...recorded, ...coming.values()];
}

const fileName = 'coming.jsonl';

/** Nothing where Myelin was killed while it wrote: then it has sent nothing. */
function read(line: string): readonly Section[] {
  try {
    return line === '' ? [] : shape.parse(JSON.parse(line));
  } catch {
    return [];
  }
}
