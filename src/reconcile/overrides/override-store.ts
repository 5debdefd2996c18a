/** What operators set servers to (`myelin server`): kept in `state`, so that it outlives reloads and restarts. */
import { z } from 'zod';
import type { ManagedDriver } from '../../apply/driver.ts';
import { AppError } from '../../errors.ts';
import { serverLines } from '../../haproxy/text/text.ts';
import { readIfThere, writeDurably } from '../../lib/files/files.ts';
import { readState } from '../../lib/files/state-file.ts';
import { pastFromWallClock, toWallClock } from '../../lib/time/clock.ts';
import type { Moment, ServerOverride } from '../../model.ts';

export type Override = {
  readonly backend: string;
  readonly server: string;
  readonly state: ServerOverride;
  readonly since: Moment;
  /** null: until the operator takes it back. */
  readonly until: Moment | null;
};

/** `state` null: the override is taken back. */
export type OverrideRequest = Omit<Override, 'state' | 'since'> & { readonly state: ServerOverride | null };

const shape = z.array(
  z.object({
    backend: z.string(),
    server: z.string(),
    state: z.enum(['maint', 'drain']),
    since: z.number(),
    until: z.number().nullable(),
  }),
);

export class OverrideStore {
  readonly #path: string;
  readonly #now: () => Moment;
  #overrides: ReadonlyMap<string, Override>;

  private constructor(path: string, overrides: readonly Override[], now: () => Moment) {
    this.#path = path;
    this.#now = now;
    this.#overrides = new Map(overrides.map((override) => [keyOf(override), override]));
  }

  static async open(path: string, now: () => Moment, onTrouble: (error: unknown) => void): Promise<OverrideStore> {
    const overrides = await readState(path, () => readIfThere(path), fromFile, onTrouble);
    return new OverrideStore(path, overrides ?? [], now);
  }

  /** The overrides in force, by `backend/server`. */
  list(): ReadonlyMap<string, ServerOverride> {
    return new Map(this.all.map((override) => [keyOf(override), override.state]));
  }

  get all(): readonly Override[] {
    const now = this.#now();
    return [...this.#overrides.values()].filter(({ until }) => until === null || until > now);
  }

  has(override: Pick<Override, 'backend' | 'server'>): boolean {
    return this.list().has(keyOf(override));
  }

  /** When the next override ends by itself; null: none does. */
  get nextExpiry(): Moment | null {
    const ends = [...this.#overrides.values()].flatMap(({ until }) => until ?? []);
    return ends.length === 0 ? null : ends.reduce((a, b) => Math.min(a, b));
  }

  /** Throws an AppError where the file cannot be written. */
  async set(override: OverrideRequest): Promise<void> {
    const { state } = override;
    const overrides = new Map(this.all.map((each) => [keyOf(each), each]));
    overrides.delete(keyOf(override));
    if (state !== null) overrides.set(keyOf(override), { ...override, state, since: this.#now() });
    await this.#write([...overrides.values()]);
    this.#overrides = overrides;
  }

  /** The overrides that have ended since the last call. The file needs no update, because it has their ends. */
  takeExpired(): readonly Override[] {
    const now = this.#now();
    const ended = [...this.#overrides.values()].filter(({ until }) => until !== null && until <= now);
    if (ended.length > 0) this.#overrides = new Map(this.all.map((override) => [keyOf(override), override]));
    return ended;
  }

  /** Throws an AppError where the file cannot be written. */
  async save(): Promise<void> {
    await this.#write(this.all);
  }

  async #write(overrides: readonly Override[]): Promise<void> {
    const written = overrides.map(({ since, until, ...override }): z.infer<typeof shape>[number] => {
      return { ...override, since: toWallClock(since), until: until === null ? null : toWallClock(until) };
    });
    await writeDurably(this.#path, `${JSON.stringify(written)}\n`);
  }
}

/** Throws an AppError where no server of ours has this name, or where what serves takes no commands. */
export function assertServer({ running, runtime }: ManagedDriver, backend: string, server: string): void {
  if (running === null || runtime === null)
    throw new AppError('MYELIN_USAGE', 'no HAProxy runs whose servers Myelin can change', {
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

function fromFile(value: unknown): readonly Override[] {
  return shape.parse(value).map(({ since: given, until, ...override }) => {
    const since = pastFromWallClock(given);
    // Keeps the duration, where the time of day has gone back since the override was written.
    return { ...override, since, until: until === null ? null : since + (until - given) };
  });
}

function keyOf({ backend, server }: Pick<Override, 'backend' | 'server'>): string {
  return `${backend}/${server}`;
}
