/** Remembers in `state` what sources offered last: while one is away after a restart, its services serve on. */
import { dirname } from 'node:path';
import { z } from 'zod';
import { makeFolder, readIfThere, writeDurably } from './apply/files.ts';
import { LateWriter } from './apply/late-writer.ts';
import type { KnownOffer } from './collection.ts';

const shape = z.array(
  z.object({
    watcher: z.string(),
    query: z.string(),
    offer: z.object({
      key: z.string(),
      name: z.string(),
      createdAt: z.number(),
      options: z.record(z.string(), z.string()),
    }),
  }),
);

/** Soon enough for a restart, and once for the many changes of a start. */
const maxLagMs = 1000;

export class KnownOffers {
  readonly #path: string;
  readonly #writer: LateWriter;
  readonly #onTrouble: (error: unknown) => void;
  #offers: readonly KnownOffer[];

  private constructor(path: string, offers: readonly KnownOffer[], onTrouble: (error: unknown) => void) {
    this.#path = path;
    this.#offers = offers;
    this.#onTrouble = onTrouble;
    this.#writer = new LateWriter({ write: () => this.#write(), maxLagMs: () => maxLagMs, onTrouble });
  }

  /** Throws an AppError where the file is there and cannot be read. */
  static async open(path: string, onTrouble: (error: unknown) => void): Promise<KnownOffers> {
    const text = (await readIfThere(path))?.toString('utf8');
    return new KnownOffers(path, text === undefined ? [] : read(text), onTrouble);
  }

  get all(): readonly KnownOffer[] {
    return this.#offers;
  }

  keep(offers: readonly KnownOffer[]): void {
    if (offers === this.#offers) return;
    const isSame = offers.length === this.#offers.length && offers.every((one, at) => one === this.#offers[at]);
    if (isSame) return;
    this.#offers = offers;
    this.#writer.note();
  }

  /** Writes what is still to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(this.#onTrouble);
  }

  async #write(): Promise<void> {
    const known = this.#offers.map(({ watcher, query, offer }) => ({ watcher, query, offer }));
    await makeFolder(dirname(this.#path));
    await writeDurably(this.#path, `${JSON.stringify(known)}\n`);
  }
}

/** What is not ours to understand counts as nothing. Whether an offer still stands is for its source to say. */
function read(text: string): readonly KnownOffer[] {
  try {
    return shape.parse(JSON.parse(text)).map((known) => ({ ...known, isOver: false }));
  } catch {
    return [];
  }
}
