/**
 * Sees by itself that HAProxy's own checks took the last server of a backend, and that one is back. Asks for a line a backend, and
 * for the servers of those alone that went or came back.
 */
import { AppError } from '../../errors.ts';
import type { BackendHealth, ServerHealth } from '../../haproxy/cli/stats.ts';
import { now } from '../../lib/time/clock.ts';
import type { Moment, Ms } from '../../model.ts';
import type { ManagedDriver } from '../driver.ts';
import type { DriverEvent } from '../driver-event.ts';

type Driver = Pick<ManagedDriver, 'runtime' | 'unresponsive'>;

/** The part of the time in which HAProxy may be asked: thousands of backends are megabytes. */
const share = 1 / 500;
const longestRestMs: Ms = 60_000;
/** What is told of one look: what has one cause often has many places. */
const mostTold = 20;

export class HealthWatch {
  readonly #driver: Driver;
  readonly #now: () => Moment;
  /** Without a server up when last looked at, whatever the reason. */
  #down: ReadonlySet<string> = new Set();
  /** Those that checks took, and since when. */
  readonly #told = new Map<string, Moment>();
  #restsUntil: Moment = 0;

  constructor(driver: Driver, clock: () => Moment = now) {
    this.#driver = driver;
    this.#now = clock;
  }

  /** What has changed since the last look. Where HAProxy does not answer, that is for others to tell. */
  async look(): Promise<readonly DriverEvent[]> {
    const { runtime, unresponsive } = this.#driver;
    const startedAt = this.#now();
    if (runtime === null || unresponsive !== null || startedAt < this.#restsUntil) return [];
    const owners = new Map(
      runtime.running.sections.flatMap(({ kind, name, service }) =>
        kind === 'backend' && service !== null ? [[name, service] as const] : [],
      ),
    );
    try {
      const down = new Set([...(await runtime.downBackends())].filter((name) => owners.has(name)));
      this.#restsUntil = this.#now() + Math.min(longestRestMs, (this.#now() - startedAt) / share);
      const before = this.#down;
      const changed = [...down, ...before].filter((name) => down.has(name) !== before.has(name));
      const health = changed.length === 0 ? new Map<string, BackendHealth>() : await runtime.health(changed);
      this.#down = down;
      return this.#compare(changed, health, owners);
    } catch (error) {
      if (error instanceof AppError) return [];
      throw error;
    }
  }

  #compare(
    changed: readonly string[],
    health: ReadonlyMap<string, BackendHealth>,
    owners: ReadonlyMap<string, string>,
  ): readonly DriverEvent[] {
    const wentDown: DriverEvent[] = [];
    const cameBack: DriverEvent[] = [];
    for (const backend of changed) {
      const service = owners.get(backend) ?? backend;
      const its = health.get(backend);
      const servers = its?.servers ?? [];
      const since = this.#told.get(backend);
      this.#told.delete(backend);
      if (its?.isDown) {
        const down = servers.filter(({ condition }) => condition === 'down');
        const [first] = down.toSorted((a, b) => (a.name < b.name ? -1 : 1));
        // One that an operator took out, or whose servers are being removed, is told as that.
        if (first === undefined) continue;
        this.#told.set(backend, this.#now() - its.forSec * 1000);
        wentDown.push({ kind: 'backend_down', service, backend, servers: down.length, reason: reasonOf(first) });
      } else if (since !== undefined && servers.some(({ condition }) => condition === 'up'))
        cameBack.push({ kind: 'backend_up', service, backend, downMs: this.#now() - since });
    }
    const others = wentDown.length - mostTold;
    return [
      ...wentDown.slice(0, mostTold),
      ...(others > 0 ? [{ kind: 'backend_down_others', count: others } as const] : []),
      ...cameBack.slice(0, mostTold),
    ];
  }
}

function reasonOf({ name, address, status, check }: ServerHealth): string {
  return `${name} (${address}): ${check === null ? status : `${check.code}, ${check.words}`}`;
}
