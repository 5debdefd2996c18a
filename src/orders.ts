/** What an operator ordered servers to be (`myelin server`): kept in `state`, so that it outlives reloads and restarts. */
import { z } from 'zod';
import { readIfThere, writeDurably } from './apply/files.ts';
import type { Moment, ServerOrder } from './model.ts';

export type Order = {
  readonly backend: string;
  readonly server: string;
  readonly state: ServerOrder;
  readonly since: Moment;
  /** null: until it is taken back. */
  readonly until: Moment | null;
};

const shape = z.array(
  z.object({
    backend: z.string(),
    server: z.string(),
    state: z.enum(['maint', 'drain']),
    since: z.number(),
    until: z.number().nullable(),
  }),
);

export class Orders {
  readonly #path: string;
  readonly #now: () => Moment;
  #orders: ReadonlyMap<string, Order>;

  private constructor(path: string, orders: readonly Order[], now: () => Moment) {
    this.#path = path;
    this.#now = now;
    this.#orders = new Map(orders.map((order) => [keyOf(order), order]));
  }

  /** Throws an AppError where the file is there and cannot be read. */
  static async open(path: string, now: () => Moment): Promise<Orders> {
    const text = (await readIfThere(path))?.toString('utf8');
    return new Orders(path, text === undefined ? [] : read(text), now);
  }

  /** Those in force, by `backend/server`. */
  list(): ReadonlyMap<string, ServerOrder> {
    return new Map(this.all.map((order) => [keyOf(order), order.state]));
  }

  get all(): readonly Order[] {
    const now = this.#now();
    return [...this.#orders.values()].filter(({ until }) => until === null || until > now);
  }

  /** When the next one ends by itself; null: none does. */
  get nextEnd(): Moment | null {
    const ends = [...this.#orders.values()].flatMap(({ until }) => until ?? []);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  /** `state` null: whatever was ordered is taken back. Throws an AppError where that cannot be written down. */
  async give(order: Omit<Order, 'state' | 'since'> & { readonly state: ServerOrder | null }): Promise<void> {
    const { state } = order;
    const orders = new Map(this.all.map((each) => [keyOf(each), each]));
    orders.delete(keyOf(order));
    if (state !== null) orders.set(keyOf(order), { ...order, state, since: this.#now() });
    await writeDurably(this.#path, `${JSON.stringify([...orders.values()])}\n`);
    this.#orders = orders;
  }

  /** Forgets those that have ended: the backends that they were about. */
  async expire(): Promise<readonly string[]> {
    const now = this.#now();
    const ended = [...this.#orders.values()].filter(({ until }) => until !== null && until <= now);
    if (ended.length === 0) return [];
    this.#orders = new Map(this.all.map((order) => [keyOf(order), order]));
    await writeDurably(this.#path, `${JSON.stringify(this.all)}\n`);
    return [...new Set(ended.map(({ backend }) => backend))];
  }
}

/** What is not ours to understand counts as no orders. */
function read(text: string): readonly Order[] {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return [];
  }
}

function keyOf({ backend, server }: Pick<Order, 'backend' | 'server'>): string {
  return `${backend}/${server}`;
}
