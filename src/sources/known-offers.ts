/** Remembers in `state` what sources offered last: while one is away after a restart, its services serve on. */
import { z } from 'zod';
import type { KnownOffer } from '../catalog/collection.ts';
import { listed, StateFile } from '../lib/state-file.ts';

const shape = z.array(
  z.object({
    watcher: z.string(),
    query: z.string(),
    offer: z.object({
      key: z.string(),
      name: z.string(),
      // An older Myelin has not written it.
      owner: z.string().default(''),
      createdAt: z.number(),
      options: z.record(z.string(), z.string()),
    }),
  }),
);

export class KnownOffers {
  readonly #file: StateFile;
  #offers: readonly KnownOffer[];

  private constructor(file: StateFile, offers: readonly KnownOffer[]) {
    this.#file = file;
    this.#offers = offers;
  }

  /** Throws an AppError where the file is there and cannot be read. */
  static async open(path: string, onTrouble: (error: unknown) => void): Promise<KnownOffers> {
    const file = new StateFile(path, onTrouble);
    const known = (await file.read((value) => shape.parse(value))) ?? [];
    // Whether an offer still stands is for its source to say.
    return new KnownOffers(
      file,
      known.map((one) => ({ ...one, isOver: false })),
    );
  }

  get all(): readonly KnownOffer[] {
    return this.#offers;
  }

  keep(offers: readonly KnownOffer[]): void {
    if (offers === this.#offers) return;
    const isSame = offers.length === this.#offers.length && offers.every((one, at) => one === this.#offers[at]);
    if (isSame) return;
    this.#offers = offers;
    this.#file.keep(() => listed(offers, ({ watcher, query, offer }) => JSON.stringify({ watcher, query, offer })));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]();
  }
}
