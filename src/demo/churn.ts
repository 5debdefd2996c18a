/** The changes of the demo, in an order that repeats: backends come, change weight and go; services come and go. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Backend, startBackend } from './backends.ts';
import type { Newcomer } from './newcomer.ts';
import type { Source } from './source.ts';

export type Place = {
  readonly source: Source;
  /** Where `include` looks for further services. */
  readonly servicesFolder: string;
  /** The port of the service that comes and goes. */
  readonly extraPort: number;
  /** The service that comes with a route. */
  readonly newcomer: Newcomer;
  /** Settles when no HAProxy process knows the former backends any more. */
  readonly forgotten: (signal: AbortSignal) => Promise<void>;
};

type Slot = { readonly name: string; readonly port: number; backend: Backend | null; weight: number };

export class Churn {
  readonly #place: Place;
  readonly #slots: readonly Slot[];
  readonly #leaving = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #failure: unknown = null;
  #step = 0;
  #hasExtra = false;
  #changes = 0;

  constructor(place: Place, names: readonly string[], ports: readonly number[]) {
    this.#place = place;
    this.#slots = names.map((name, at) => ({ name, port: ports[at] ?? 0, backend: null, weight: 10 }));
  }

  get changes(): number {
    return this.#changes;
  }

  /** Names of the backends that the source knows. */
  get serving(): readonly string[] {
    return this.#slots.filter(({ backend }) => backend !== null).map(({ name }) => name);
  }

  /** The first `count` backends serve. */
  async begin(count: number): Promise<void> {
    for (const slot of this.#slots.slice(0, count)) slot.backend = await startBackend(slot.name, slot.port);
    await this.#publish();
  }

  /** Makes the next change; returns its description. */
  async next(): Promise<string> {
    if (this.#failure !== null) throw this.#failure;
    const [a, b, c, d, e] = this.#slots;
    const { newcomer } = this.#place;
    const steps = [
      () => newcomer.toggle(),
      () => this.#add(d),
      () => this.#reweigh(a),
      () => this.#remove(b),
      () => this.#toggleExtra(),
      () => this.#add(e),
      () => this.#remove(c),
      () => this.#add(b),
      () => this.#reweigh(a),
      () => newcomer.toggle(),
      () => this.#toggleExtra(),
      () => this.#remove(d),
      () => this.#add(c),
      () => this.#remove(e),
    ];
    const step = steps[this.#step++ % steps.length];
    this.#changes += 1;
    return (await step?.()) ?? '';
  }

  /** Stops every backend. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#leaving);
    await this.#place.newcomer.stop();
    await Promise.all(this.#slots.flatMap(({ backend }) => (backend === null ? [] : [backend.stop()])));
  }

  async #add(slot: Slot | undefined): Promise<string> {
    if (slot === undefined || slot.backend !== null) return 'nothing changed';
    // A port is free only when the former backend has left it.
    await Promise.all(this.#leaving);
    slot.backend = await startBackend(slot.name, slot.port);
    await this.#publish();
    return `backend ${slot.name} came`;
  }

  /** The backend is removed from the source, then gets no more requests, then ends: as in a deployment. */
  async #remove(slot: Slot | undefined): Promise<string> {
    if (slot === undefined || slot.backend === null) return 'nothing changed';
    const { backend } = slot;
    slot.backend = null;
    await this.#publish();
    const leaving = this.#endWhenForgotten(backend).finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    return `backend ${slot.name} goes`;
  }

  async #endWhenForgotten(backend: Backend): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await this.#place.forgotten(signal);
    } catch (error) {
      // The next step throws this error: nobody waits for this one.
      if (!signal.aborted) this.#failure = error;
    } finally {
      await backend.stop();
    }
  }

  async #reweigh(slot: Slot | undefined): Promise<string> {
    if (slot === undefined) return 'nothing changed';
    slot.weight = slot.weight === 10 ? 20 : 10;
    await this.#publish();
    return `backend ${slot.name} has weight ${slot.weight}`;
  }

  /** A service with its own frontend: a change of structure. */
  async #toggleExtra(): Promise<string> {
    const { servicesFolder, extraPort } = this.#place;
    const file = join(servicesFolder, 'extra.yaml');
    this.#hasExtra = !this.#hasExtra;
    if (!this.#hasExtra) await rm(file);
    else
      await writeFile(
        file,
        `services:\n  extra:\n    from: { SOURCE: { service: web } }\n    bind: "127.0.0.1:${extraPort}"\n`.replace(
          'SOURCE',
          this.#place.source.name,
        ),
      );
    return `service extra ${this.#hasExtra ? 'came' : 'went'}`;
  }

  async #publish(): Promise<void> {
    const known = this.#slots.filter(({ backend }) => backend !== null);
    await this.#place.source.publish(known.map(({ name, port, weight }) => ({ name, port, weight })));
  }
}
