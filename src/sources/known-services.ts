/** Remembers in `state` which services sources discovered last: while one is away after a restart, its services serve on. */
import { z } from 'zod';
import type { KnownService } from '../catalog/collection.ts';
import { listed, StateFile } from '../lib/files/state-file.ts';

const service = z.object({
  key: z.string(),
  name: z.string(),
  // An older Myelin has not written it.
  owner: z.string().default(''),
  createdAt: z.number(),
  options: z.record(z.string(), z.string()),
});

const place = { watcher: z.string(), query: z.string() };

const shape = z.array(
  z.union([
    z.object({ ...place, service }),
    // As an older Myelin has written it.
    z.object({ ...place, offer: service }).transform(({ offer, ...rest }) => ({ ...rest, service: offer })),
  ]),
);

export class KnownServices {
  readonly #file: StateFile;
  #discovered: readonly KnownService[];

  private constructor(file: StateFile, discovered: readonly KnownService[]) {
    this.#file = file;
    this.#discovered = discovered;
  }

  /** Throws an AppError where a file is there and cannot be read. `former`: where an older Myelin had it. */
  static async open(path: string, onTrouble: (error: unknown) => void, former?: string): Promise<KnownServices> {
    const file = new StateFile(path, onTrouble);
    const read = (from: StateFile) => from.read((value) => shape.parse(value));
    const before = former === undefined ? null : new StateFile(former, onTrouble);
    const known = (await read(file)) ?? (before && (await read(before))) ?? [];
    // Whether one is still there is for its source to say.
    return new KnownServices(
      file,
      known.map((one) => ({ ...one, isOver: false })),
    );
  }

  get all(): readonly KnownService[] {
    return this.#discovered;
  }

  keep(discovered: readonly KnownService[]): void {
    if (discovered === this.#discovered) return;
    const isSame =
      discovered.length === this.#discovered.length && discovered.every((one, at) => one === this.#discovered[at]);
    if (isSame) return;
    this.#discovered = discovered;
    this.#file.keep(() =>
      listed(discovered, ({ watcher, query, service }) => JSON.stringify({ watcher, query, service })),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]();
  }
}
