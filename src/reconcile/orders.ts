/** What an operator ordered servers to be (`myelin server`): kept in `state`, so that it outlives reloads and restarts. */
import { z } from 'zod';
import type { Driver } from '../apply/driver.ts';
import { AppError } from '../errors.ts';
import { serverLines } from '../haproxy/text/text.ts';
import { pastFromWallClock, toWallClock } from '../lib/clock.ts';
import { readIfThere, writeDurably } from '../lib/files.ts';
import type { Moment, ServerOrder } from '../model.ts';

export type Order = {
  readonly backend: string;
  readonly server: string;
  readonly state: ServerOrder;
  readonly since: Moment;
  /** null: until it is taken back. */
  readonly until: Moment | null;
};

/** `state` null: whatever was ordered is taken back. */
export type GivenOrder = Omit<Order, 'state' | 'since'> & { readonly state: ServerOrder | null };

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

  has(order: Pick<Order, 'backend' | 'server'>): boolean {
    return this.list().has(keyOf(order));
  }

  /** When the next one ends by itself; null: none does. */
  get nextEnd(): Moment | null {
    const ends = [...this.#orders.values()].flatMap(({ until }) => until ?? []);
    return ends.length === 0 ? null : ends.reduce((a, b) => Math.min(a, b));
  }

  /** Throws an AppError where it cannot be written down. */
  async give(order: GivenOrder): Promise<void> {
    const { state } = order;
    const orders = new Map(this.all.map((each) => [keyOf(each), each]));
    orders.delete(keyOf(order));
    if (state !== null) orders.set(keyOf(order), { ...order, state, since: this.#now() });
    await this.#write([...orders.values()]);
    this.#orders = orders;
  }

  /** Those that have ended since they were taken last. What is written down says itself when they end. */
  takeEnded(): readonly Order[] {
    const now = this.#now();
    const ended = [...this.#orders.values()].filter(({ until }) => until !== null && until <= now);
    if (ended.length > 0) this.#orders = new Map(this.all.map((order) => [keyOf(order), order]));
    return ended;
  }

  /** Throws an AppError where it cannot be written down. */
  async save(): Promise<void> {
    await this.#write(this.all);
  }

  async #write(orders: readonly Order[]): Promise<void> {
    const written = orders.map(({ since, until, ...order }): z.infer<typeof shape>[number] => {
      return { ...order, since: toWallClock(since), until: until === null ? null : toWallClock(until) };
    });
    await writeDurably(this.#path, `${JSON.stringify(written)}\n`);
  }
}

/** Throws an AppError where no server of ours has this name, or where what serves takes no orders. */
export function assertServer({ running, runtime }: Driver, backend: string, server: string): void {
  if (running === null || runtime === null)
    throw new AppError('MYELIN_USAGE', 'no HAProxy runs that takes orders about servers', {
      remedy: 'with `haproxy.control: command` or `none`, talk to HAProxy itself',
    });
  const backends = running.sections.filter(({ kind, service }) => kind === 'backend' && service !== null);
  const section = backends.find(({ name }) => name === backend);
  if (section === undefined)
    throw new AppError('MYELIN_USAGE', `there is no service ${backend}`, {
      remedy: `the services are ${namesOf(backends)}`,
    });
  const servers = serverLines(section);
  if (!servers.some(({ name }) => name === server))
    throw new AppError('MYELIN_USAGE', `${backend} has no server ${server}`, {
      remedy: servers.length === 0 ? 'it has none at all' : `its servers are ${namesOf(servers)}`,
    });
}

function namesOf(all: readonly { readonly name: string }[]): string {
  const names = all.map(({ name }) => name);
  return names.length <= 20 ? names.join(', ') : `${names.slice(0, 20).join(', ')} and ${names.length - 20} more`;
}

/** What is not ours to understand counts as no orders. */
function read(text: string): readonly Order[] {
  try {
    return shape.parse(JSON.parse(text)).map(({ since: given, until, ...order }) => {
      const since = pastFromWallClock(given);
      // By its length, where the time of day was later when it was written down than it is now.
      return { ...order, since, until: until === null ? null : since + (until - given) };
    });
  } catch {
    return [];
  }
}

function keyOf({ backend, server }: Pick<Order, 'backend' | 'server'>): string {
  return `${backend}/${server}`;
}
