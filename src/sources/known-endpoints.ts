/**
 * Remembers in `state` the last endpoints of each service. After a restart of Myelin they serve while their source is
 * away, and what its first result lacks is a loss like any other.
 */
import { z } from 'zod';
import { type Collection, type Known, known } from '../catalog/collection.ts';
import { listed, StateFile } from '../lib/files/state-file.ts';
import type { Endpoint } from '../model.ts';

/** The catalog validates these endpoints like those of a source. */
const endpoints = z.array(z.custom<Endpoint>());

const entry = z.union([
  z.object({ queryKey: z.string(), endpoints }),
  // The field's name in older versions.
  z.object({ asked: z.string(), endpoints }).transform(({ asked, endpoints }) => ({ queryKey: asked, endpoints })),
]);

const shape = z.array(z.tuple([z.string(), entry]));

type Line = { readonly service: string; readonly queryKey: string; readonly text: string };

export class KnownEndpoints {
  readonly #file: StateFile;
  /** By service, as of the start. */
  readonly all: ReadonlyMap<string, Known>;
  #collection: Collection | null = null;
  /** What was written of a service, by its endpoints: of thousands one or a few change between two writes. */
  readonly #lines = new WeakMap<readonly Endpoint[], Line>();

  private constructor(file: StateFile, services: ReadonlyMap<string, Known>) {
    this.#file = file;
    this.all = services;
  }

  static async open(path: string, onTrouble: (error: unknown) => void): Promise<KnownEndpoints> {
    const file = new StateFile(path, onTrouble);
    const services = await file.read((value) => shape.parse(value));
    return new KnownEndpoints(file, new Map(services));
  }

  keep(collection: Collection): void {
    const before = this.#collection;
    this.#collection = collection;
    if (before?.catalog.services === collection.catalog.services && before.config === collection.config) return;
    this.#file.keep(() => listed(known(collection), (entry) => this.#lineOf(entry)));
  }

  #lineOf([service, { queryKey, endpoints }]: readonly [service: string, known: Known]): string {
    const before = this.#lines.get(endpoints);
    if (before?.service === service && before.queryKey === queryKey) return before.text;
    const text = JSON.stringify([service, { queryKey, endpoints }]);
    this.#lines.set(endpoints, { service, queryKey, text });
    return text;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]();
  }
}
