/**
 * Reports which services of a datacenter changed, by three blocking queries about the whole datacenter: the states of all checks,
 * the addresses of all nodes, and the list of services, whose index shows that something was registered (what it was, the list
 * of each node shows). So a thousand idle services cost nothing; a query for each takes hundreds of requests a second.
 */
import { AppError } from '../../../src/errors.ts';
import { backoffMs, pause } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import type { ConsulResponse, ListRequest } from '../agent/client.ts';
import { indexOf } from '../service/result.ts';
import { changesOf, movedWith, type Rows, readChecks, readNode, readNodes } from './catalog-lists.ts';
import type { Changed } from './schedule.ts';

export type ChangeFeedOptions = {
  readonly list: (request: ListRequest, timeoutMs: Ms) => Promise<ConsulResponse>;
  /** The number of services that are followed now. */
  readonly services: () => number;
  readonly waitMs: Ms;
  readonly onChange: (changed: Changed) => void;
  /** The feed is up or down: it is down at first, and while one of its queries fails. */
  readonly onUp: (isUp: boolean) => void;
  readonly signal: AbortSignal;
};

/** The delay after a failure grows: a token may lack the right, or a response may be too long, for good. */
const backoff = { baseMs: 1000, capMs: 300_000 };
/** The pause after a response grows with its length: so reading takes a limited part of a core, however much changes. */
const restPerRowMs: Ms = 0.15;
const shortestRestMs: Ms = 10;
/** The pause after a response that came at once although its index is the same. */
const standingMs: Ms = 5000;
/** The lists of the nodes are read where nodes are at most this part of the services. */
const nodesShare = 0.25;
/**
 * A registration with a check changes the checks as well. Where those have just explained it, the lists of the nodes are read
 * later, for many registrations at once.
 */
const gatherMs: Ms = 20;
const explainedMs: Ms = 200;
const listEveryMs: Ms = 2000;
/** The pause after all services had to be queried, since any may have changed… */
const queryAllEveryMs: Ms = 1000;
/** …and the least time between two such cases where no list shows a change: the token may not see the service. */
const unexplainedEveryMs: Ms = 20_000;

const kinds = ['checks', 'services', 'nodes'] as const;
type Kind = (typeof kinds)[number];

/** The number of connections that a feed takes. */
export const perFeed = kinds.length;

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #slackMs: Ms;
  /** The queries that succeed. */
  readonly #succeeding = new Set<Kind>();
  #isUp = false;
  #checks: Rows | null = null;
  /** Addresses by node. */
  #nodes: ReadonlyMap<string, string> | null = null;
  /** From the lists of the nodes; null: not known. */
  #instances: Rows | null = null;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #listedAt = Number.NEGATIVE_INFINITY;
  #unexplainedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#slackMs = Math.max(2000, options.waitMs / 10);
  }

  /** Ends when the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([
      this.#follow('checks', async (body) => this.#readChecks(body)),
      this.#follow('services', (_, isFirst) => this.#readRegistrations(isFirst)),
      this.#follow('nodes', async (body) => this.#readNodes(body)),
    ]);
  }

  /** `read` returns the pause after it. */
  async #follow(what: Kind, read: (body: unknown, isFirst: boolean) => Promise<Ms>): Promise<void> {
    const { signal, waitMs } = this.#options;
    let index: bigint | null = null;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const sentAt = performance.now();
        const response = await this.#request(what, index);
        const receivedAt = performance.now();
        const now = indexOf(response.headers['x-consul-index']);
        if (now === undefined || (index !== null && now < index))
          throw new AppError('MYELIN_SOURCE_FAILED', 'the index of the catalog is missing or went back');
        const isNew = now !== index;
        const restMs = isNew ? await read(response.body, index === null) : 0;
        index = now;
        failures = 0;
        this.#setSucceeding(what, true);
        const hasBlocked = receivedAt - sentAt >= waitMs / 2;
        if (isNew) await pause(Math.max(shortestRestMs, restMs), signal);
        else if (!hasBlocked) await pause(standingMs, signal);
      } catch {
        // The queries for single services report what is wrong with Consul.
        if (signal.aborted) return;
        index = null;
        this.#setSucceeding(what, false);
        await pause(backoffMs(failures, backoff), signal);
        failures += 1;
      }
    }
  }

  #request(what: Kind, index: bigint | null): Promise<ConsulResponse> {
    const { list, waitMs } = this.#options;
    if (index === null) return list({ what, stale: true }, this.#slackMs);
    const wait = `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`;
    return list({ what, stale: true, index: `${index}`, wait }, (waitMs * 17) / 16 + this.#slackMs);
  }

  #readChecks(body: unknown): Ms {
    const before = this.#checks;
    const checks = readChecks(body);
    this.#checks = checks;
    const changed = before !== null && this.#isUp ? changesOf(before, checks, this.#instances) : new Map();
    if (this.#report(changed)) this.#reportedAt = performance.now();
    return checks.size * restPerRowMs;
  }

  #readNodes(body: unknown): Ms {
    const before = this.#nodes;
    const nodes = readNodes(body);
    this.#nodes = nodes;
    if (before !== null && this.#isUp)
      this.#report(movedWith(before, nodes, this.#checks ?? new Map(), this.#instances));
    return nodes.size * restPerRowMs;
  }

  /** Returns whether anything changed. */
  #report(changed: Changed): boolean {
    if (isNothing(changed)) return false;
    this.#options.onChange(changed);
    return true;
  }

  /** Something was registered or deregistered. */
  async #readRegistrations(isFirst: boolean): Promise<Ms> {
    const { signal } = this.#options;
    if (!isFirst) {
      await pause(gatherMs, signal);
      const isExplained = performance.now() - this.#reportedAt < explainedMs;
      if (isExplained) await pause(Math.max(0, this.#listedAt + listEveryMs - performance.now()), signal);
    }
    let changed = await this.#newInstances();
    if (isFirst || !this.#isUp) changed = new Map();
    else if (isNothing(changed)) {
      if (performance.now() - this.#unexplainedAt < unexplainedEveryMs) {
        // The server that sent the lists may be behind the one that reported the change.
        await pause(listEveryMs, signal);
        changed = await this.#newInstances();
      } else {
        this.#unexplainedAt = performance.now();
        changed = 'all';
      }
    }
    this.#report(changed);
    return changed === 'all' ? queryAllEveryMs : (this.#instances?.size ?? 0) * restPerRowMs;
  }

  async #newInstances(): Promise<Changed> {
    this.#listedAt = performance.now();
    const before = this.#instances;
    this.#instances = await this.#readInstances();
    return before === null || this.#instances === null ? 'all' : changesOf(before, this.#instances, null);
  }

  async #readInstances(): Promise<Rows | null> {
    const { list, services } = this.#options;
    const names = [...readNodes((await list({ what: 'nodes', stale: true }, this.#slackMs)).body).keys()];
    if (names.length > Math.max(1, services() * nodesShare)) return null;
    const lists: Rows[] = [];
    for (const node of names)
      lists.push(readNode(node, (await list({ what: 'node', node, stale: true }, this.#slackMs)).body));
    return new Map(lists.flatMap((list) => [...list]));
  }

  #setSucceeding(what: Kind, isSucceeding: boolean): void {
    if (isSucceeding) this.#succeeding.add(what);
    else this.#succeeding.delete(what);
    const isUp = this.#succeeding.size === kinds.length;
    if (isUp === this.#isUp) return;
    this.#isUp = isUp;
    this.#options.onUp(isUp);
  }
}

function isNothing(changed: Changed): boolean {
  return changed !== 'all' && changed.size === 0;
}
