/** Remembers in `state` the discovered services: after a restart of Myelin they serve while their source is away. */
import { z } from 'zod';
import type { KnownService } from '../catalog/collection.ts';
import { listed, StateFile } from '../lib/files/state-file.ts';

const service = z.object({
  key: z.string(),
  name: z.string(),
  // Missing in files of older versions.
  owner: z.string().default(''),
  createdAt: z.number(),
  options: z.record(z.string(), z.string()),
});

const place = { watcher: z.string(), query: z.string() };

const shape = z.array(
  z.union([
    z.object({ ...place, service }),
    // The field's name in older versions.
    z.object({ ...place, offer: service }).transform(({ offer, ...rest }) => ({ ...rest, service: offer })),
  ]),
);

export class KnownServices {
  readonly #file: StateFile;
  #discovered: readonly KnownService[];
  /** What was written of each: of thousands one or a few come or go between two writes. */
  readonly #lines = new WeakMap<KnownService, string>();
  /** The file is still in its former place, or in both. */
  #mustMove: boolean;

  private constructor(file: StateFile, discovered: readonly KnownService[], mustMove: boolean) {
    this.#file = file;
    this.#discovered = discovered;
    this.#mustMove = mustMove;
  }

  /** `formerPath`: its place in older versions. */
  static async open(path: string, onTrouble: (error: unknown) => void, formerPath?: string): Promise<KnownServices> {
    const file = new StateFile(path, onTrouble, formerPath);
    const known = (await file.read((value) => shape.parse(value))) ?? [];
    // Only its source can say whether a service has ended meanwhile.
    const discovered = known.map((one) => ({ ...one, isOver: false }));
    return new KnownServices(file, discovered, await file.hasFormer());
  }

  get all(): readonly KnownService[] {
    return this.#discovered;
  }

  keep(discovered: readonly KnownService[]): void {
    const before = this.#discovered;
    const isSame =
      discovered === before ||
      (discovered.length === before.length && discovered.every((one, at) => one === before[at]));
    if (isSame && !this.#mustMove) return;
    this.#mustMove = false;
    this.#discovered = discovered;
    this.#file.keep(() => listed(discovered, (known) => this.#lineOf(known)));
  }

  #lineOf(known: KnownService): string {
    const before = this.#lines.get(known);
    if (before !== undefined) return before;
    const { watcher, query, service } = known;
    const line = JSON.stringify({ watcher, query, service });
    this.#lines.set(known, line);
    return line;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]();
  }
}
