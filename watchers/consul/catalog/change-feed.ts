/**
 * Reports which services of a datacenter changed, by three blocking queries about the whole datacenter: the checks that do not pass,
 * the addresses of all nodes, and the list of services, whose index shows that something was registered. What it was, the list of
 * all checks shows, and then the lists of the nodes. So a thousand idle services cost nothing; a query for each takes hundreds of
 * requests a second.
 */
import { AppError } from '../../../src/errors.ts';
import { backoffMs, pause } from '../../../src/lib/time/retry.ts';
import type { Ms } from '../../../src/model.ts';
import { TokenBucket } from '../../kit/token-bucket.ts';
import type { ConsulResponse, ListRequest } from '../agent/client.ts';
import { indexOf } from '../service/result.ts';
import { changesOf, movedWith, type Rows, readChecks, readNode, readNodes, withTurned } from './catalog-lists.ts';
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
/**
 * Long lists take a limited part of a core, however much changes: this much time for each row. After a rest the first ones are
 * read at once.
 */
const looks = { burst: 20_000, everyMs: 0.15 };
/** A server filters so many checks in this time, ten times over, for a list of those that do not pass. */
const restPerCheckMs: Ms = 0.015;
const shortestRestMs: Ms = 10;
/** The pause after a response that came at once although its index is the same. */
const standingMs: Ms = 5000;
/** The lists of the nodes are read where nodes are at most this part of the services. */
const nodesShare = 0.25;
/** What is registered together is looked for together… */
const gatherMs: Ms = 20;
/** …and where a check or the name of a service has explained it, the lists of the nodes are read later: the longer, the more so. */
const listEveryMs: Ms = 2000;
const listEveryMsPerRow: Ms = 1;
/** The pause after all services had to be queried, since any may have changed… */
const queryAllEveryMs: Ms = 1000;
/** …and the least time between two such cases where no list shows a change: the token may not see the service. */
const unexplainedEveryMs: Ms = 20_000;

const blocking = ['checks', 'services', 'nodes'] as const;
type Blocking = (typeof blocking)[number];
const kinds = [...blocking, 'instances'] as const;
type Kind = (typeof kinds)[number];

/** The number of connections that a feed takes. */
export const perFeed = kinds.length;

const notPassing = 'Status != "passing"';

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #slackMs: Ms;
  /** The queries that succeed. */
  readonly #succeeding = new Set<Kind>();
  #isUp = false;
  /** The checks that do not pass. */
  #unhealthy: Rows | null = null;
  /** All checks. */
  #checks: Rows | null = null;
  readonly #looks = new TokenBucket(looks, performance.now());
  /** Addresses by node. */
  #nodes: ReadonlyMap<string, string> | null = null;
  /** From the lists of the nodes; null: not known. */
  #instances: Rows | null = null;
  /** Whether the lists of the nodes are to be read, and whether what was registered is known already. */
  #due: 'no' | 'explained' | 'unexplained' = 'explained';
  #wake = Promise.withResolvers<void>();
  /** Whether names have explained all that was registered since it was last looked for; null: nobody looks at names. */
  #isExplained: boolean | null = null;
  #listedAt = Number.NEGATIVE_INFINITY;
  #unexplainedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#slackMs = Math.max(2000, options.waitMs / 10);
  }

  /** Something was registered; `isExplained`: a name came or went, which is known already, and who looks for more may take time. */
  registered(isExplained: boolean): void {
    this.#isExplained = (this.#isExplained ?? true) && isExplained;
  }

  /** Ends when the signal aborts. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true });
    await Promise.all([
      this.#follow('checks', async (body) => this.#readUnhealthy(body)),
      this.#follow('services', (_, isFirst) => this.#readRegistrations(isFirst)),
      this.#follow('nodes', async (body) => this.#readNodes(body)),
      this.#followInstances(),
    ]);
  }

  /** `read` returns the pause after it. */
  async #follow(what: Blocking, read: (body: unknown, isFirst: boolean) => Promise<Ms>): Promise<void> {
    const { signal, waitMs } = this.#options;
    let index: bigint | null = null;
    let isDoubted = false;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const sentAt = performance.now();
        const response = await this.#request(what, isDoubted ? null : index);
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
        const isEndedEarly = !isNew && !hasBlocked;
        if (isNew) await pause(Math.max(shortestRestMs, restMs), signal);
        else if (isEndedEarly && isDoubted) await pause(standingMs, signal);
        // As after a snapshot was restored, whose index may be lower: without an index the response shows it.
        isDoubted = isEndedEarly && !isDoubted;
      } catch {
        // The queries for single services report what is wrong with Consul.
        if (signal.aborted) return;
        index = null;
        isDoubted = false;
        this.#setSucceeding(what, false);
        await pause(backoffMs(failures, backoff), signal);
        failures += 1;
      }
    }
  }

  #request(what: Blocking, index: bigint | null): Promise<ConsulResponse> {
    const { list, waitMs } = this.#options;
    const asked = { what, stale: true, ...(what === 'checks' && { filter: notPassing }) };
    if (index === null) return list(asked, this.#slackMs);
    const wait = `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`;
    return list({ ...asked, index: `${index}`, wait }, (waitMs * 17) / 16 + this.#slackMs);
  }

  #readUnhealthy(body: unknown): Ms {
    const before = this.#unhealthy;
    const unhealthy = readChecks(body);
    this.#unhealthy = unhealthy;
    if (before !== null && this.#isUp) this.#report(changesOf(before, unhealthy, this.#instances));
    // So that the list of all checks does not tell of them again.
    if (before !== null && this.#checks !== null) this.#checks = withTurned(this.#checks, before, unhealthy);
    return this.#looks.take(performance.now(), unhealthy.size) + (this.#checks?.size ?? 0) * restPerCheckMs;
  }

  #readNodes(body: unknown): Ms {
    const before = this.#nodes;
    const nodes = readNodes(body);
    this.#nodes = nodes;
    if (before !== null && this.#isUp)
      this.#report(movedWith(before, nodes, this.#checks ?? new Map(), this.#instances));
    return this.#looks.take(performance.now(), nodes.size);
  }

  /** Returns whether anything changed. */
  #report(changed: Changed): boolean {
    if (isNothing(changed)) return false;
    this.#options.onChange(changed);
    return true;
  }

  /** Something was registered or deregistered. */
  async #readRegistrations(isFirst: boolean): Promise<Ms> {
    const isExplained = this.#isExplained ?? false;
    this.#isExplained = null;
    const changed: Changed = isExplained && !isFirst ? new Map() : await this.#newChecks();
    const isReported = !isFirst && this.#report(changed);
    if (isExplained || isReported || isFirst) this.#due = this.#due === 'unexplained' ? this.#due : 'explained';
    else this.#due = 'unexplained';
    this.#wake.resolve();
    return isExplained ? 0 : this.#looks.take(performance.now(), this.#checks?.size ?? 0);
  }

  async #newChecks(): Promise<Changed> {
    const before = this.#checks;
    const { body } = await this.#options.list({ what: 'checks', stale: true }, this.#slackMs);
    this.#checks = readChecks(body);
    return before === null ? new Map() : changesOf(before, this.#checks, this.#instances);
  }

  /** Reads the lists of the nodes when something was registered. */
  async #followInstances(): Promise<void> {
    const { signal } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (this.#due === 'no') {
          this.#wake = Promise.withResolvers();
          await this.#wake.promise;
        }
        const everyMs = Math.max(listEveryMs, (this.#instances?.size ?? 0) * listEveryMsPerRow);
        const laterMs = this.#due === 'explained' ? this.#listedAt + everyMs - performance.now() : 0;
        await pause(Math.max(gatherMs, laterMs), signal);
        if (signal.aborted) return;
        const restMs = await this.#readRegistered();
        failures = 0;
        this.#setSucceeding('instances', true);
        await pause(restMs, signal);
      } catch {
        if (signal.aborted) return;
        this.#due = 'explained';
        this.#setSucceeding('instances', false);
        await pause(backoffMs(failures, backoff), signal);
        failures += 1;
      }
    }
  }

  async #readRegistered(): Promise<Ms> {
    const { signal } = this.#options;
    const isExplained = this.#due !== 'unexplained';
    this.#due = 'no';
    let changed = await this.#newInstances();
    if (!this.#isUp) changed = new Map();
    else if (isNothing(changed) && !isExplained) {
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
    return changed === 'all' ? queryAllEveryMs : this.#looks.take(performance.now(), this.#instances?.size ?? 0);
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
