/** What changes in the demo, in an order that repeats: backends come, change their weight and go; a service comes and goes. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Backend, startBackend } from './backends.ts';
import type { Source } from './source.ts';

export type Place = {
  readonly source: Source;
  /** Where `include` looks for further services. */
  readonly servicesFolder: string;
  /** The bind of the service that comes and goes. */
  readonly extraPort: number;
  /** Settles when no HAProxy process knows the backends of before any more. */
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

  /** Names of the backends that are known to the source. */
  get serving(): readonly string[] {
    return this.#slots.filter(({ backend }) => backend !== null).map(({ name }) => name);
  }

  /** The first `count` backends serve. */
  async begin(count: number): Promise<void> {
    for (const slot of this.#slots.slice(0, count)) slot.backend = await startBackend(slot.name, slot.port);
    await this.#publish();
  }

  /** The next change; gives back what it was. */
  async next(): Promise<string> {
    if (this.#failure !== null) throw this.#failure;
    const [a, b, c, d, e] = this.#slots;
    const steps = [
      () => this.#add(d),
      () => this.#reweigh(a),
      () => this.#remove(b),
      () => this.#toggleExtra(),
      () => this.#add(e),
      () => this.#remove(c),
      () => this.#add(b),
      () => this.#reweigh(a),
      () => this.#toggleExtra(),
      () => this.#remove(d),
      () => this.#add(c),
      () => this.#remove(e),
    ];
    const step = steps[this.#step++ % steps.length];
    this.#changes += 1;
    return (await step?.()) ?? '';
  }

  /** Every backend ends. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#leaving);
    await Promise.all(this.#slots.flatMap(({ backend }) => (backend === null ? [] : [backend.stop()])));
  }

  async #add(slot: Slot | undefined): Promise<string> {
    if (slot === undefined || slot.backend !== null) return 'nothing changed';
    // A port that a backend is only now leaving cannot be taken again yet.
    await Promise.all(this.#leaving);
    slot.backend = await startBackend(slot.name, slot.port);
    await this.#publish();
    return `backend ${slot.name} came`;
  }

  /** First it is unknown, then nobody sends it anything, then it ends: as a deployment does it. */
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
      // Told by the next step: nobody waits for this one.
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

  /** A service with a frontend of its own: a change of structure. */
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
