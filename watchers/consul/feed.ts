/**
 * Tells which services of a datacenter changed, by three blocking queries for all of them: for the states of all checks, for
 * the addresses of all nodes, and one that says when anything was registered; what that was stands in the lists of the nodes.
 * So a thousand services at rest cost nothing, where a request for each takes hundreds of requests a second.
 */
import { AppError } from '../../src/errors.ts';
import { backoffMs, pause } from '../../src/lib/time/retry.ts';
import type { Ms } from '../../src/model.ts';
import type { ConsulResponse, ListRequest } from './client.ts';
import { indexOf } from './reading.ts';
import type { Changed } from './rota.ts';
import { changesOf, movedWith, type Rows, readChecks, readNode, readNodes } from './rows.ts';

export type Feeding = {
  readonly list: (request: ListRequest, timeoutMs: Ms) => Promise<ConsulResponse>;
  /** How many services are asked for. */
  readonly services: number;
  readonly waitMs: Ms;
  readonly onChange: (changed: Changed) => void;
  /** Whether changes are being told: not at first, and not while one of the requests fails. */
  readonly onFed: (isFed: boolean) => void;
  readonly signal: AbortSignal;
};

/** To where a token may not ask, or where there is too much to read, it is asked ever more seldom. */
const backoff = { baseMs: 1000, capMs: 300_000 };
/** After an answer the next request waits by what there was to read: a part of a core, however much changes. */
const restPerRowMs: Ms = 0.15;
const shortestRestMs: Ms = 10;
/** Whoever answers at once although nothing is new is asked this seldom. */
const standingMs: Ms = 5000;
/** The lists of the nodes are read where there are no more nodes than this part of the services. */
const nodesShare = 0.25;
/** What is registered with a check is told by that as well: then who registered what is looked up later, for many at once. */
const gatherMs: Ms = 20;
const explainedMs: Ms = 200;
const lookUpEveryMs: Ms = 2000;
/** Looking at every service is dear: where anything may have changed, this seldom… */
const lookAtAllEveryMs: Ms = 1000;
/** …and where no list shows what did, as of services that the token may not see, hardly ever. */
const lookInVainEveryMs: Ms = 20_000;

const kinds = ['checks', 'services', 'nodes'] as const;
type Kind = (typeof kinds)[number];

/** How many connections a feed takes. */
export const perFeed = kinds.length;

export class Feed {
  readonly #feeding: Feeding;
  readonly #slackMs: Ms;
  readonly #up = new Set<Kind>();
  #isFed = false;
  #checks: Rows | null = null;
  /** Addresses by node. */
  #nodes: ReadonlyMap<string, string> | null = null;
  /** What is registered, by the lists of the nodes; null: not known. */
  #instances: Rows | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;
  #lookedUpAt = Number.NEGATIVE_INFINITY;
  #lookedInVainAt = Number.NEGATIVE_INFINITY;

  constructor(feeding: Feeding) {
    this.#feeding = feeding;
    this.#slackMs = Math.max(2000, feeding.waitMs / 10);
  }

  /** Ends when the signal aborts. */
  async run(): Promise<void> {
    await Promise.all([
      this.#follow('checks', async (body) => this.#readChecks(body)),
      this.#follow('services', (_, isFirst) => this.#lookUp(isFirst)),
      this.#follow('nodes', async (body) => this.#readNodes(body)),
    ]);
  }

  /** `read` returns how long to rest after it. */
  async #follow(what: Kind, read: (body: unknown, isFirst: boolean) => Promise<Ms>): Promise<void> {
    const { signal, waitMs } = this.#feeding;
    let index: bigint | null = null;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const askedAt = performance.now();
        const answer = await this.#request(what, index);
        const answeredAt = performance.now();
        const now = indexOf(answer.headers['x-consul-index']);
        if (now === undefined || (index !== null && now < index))
          throw new AppError('MYELIN_SOURCE_FAILED', 'the index of the catalog is missing or went back');
        const isNews = now !== index;
        const restMs = isNews ? await read(answer.body, index === null) : 0;
        index = now;
        failures = 0;
        this.#setUp(what, true);
        const waited = answeredAt - askedAt >= waitMs / 2;
        if (isNews) await pause(Math.max(shortestRestMs, restMs), signal);
        else if (!waited) await pause(standingMs, signal);
      } catch {
        // What is wrong with Consul, the requests for single services tell.
        if (signal.aborted) return;
        index = null;
        this.#setUp(what, false);
        await pause(backoffMs(failures, backoff), signal);
        failures += 1;
      }
    }
  }

  #request(what: Kind, index: bigint | null): Promise<ConsulResponse> {
    const { list, waitMs } = this.#feeding;
    if (index === null) return list({ what, stale: true }, this.#slackMs);
    const wait = `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`;
    return list({ what, stale: true, index: `${index}`, wait }, (waitMs * 17) / 16 + this.#slackMs);
  }

  #readChecks(body: unknown): Ms {
    const before = this.#checks;
    const checks = readChecks(body);
    this.#checks = checks;
    const changed = before !== null && this.#isFed ? changesOf(before, checks, this.#instances) : new Map();
    if (this.#tell(changed)) this.#toldAt = performance.now();
    return checks.size * restPerRowMs;
  }

  #readNodes(body: unknown): Ms {
    const before = this.#nodes;
    const nodes = readNodes(body);
    this.#nodes = nodes;
    if (before !== null && this.#isFed)
      this.#tell(movedWith(before, nodes, this.#checks ?? new Map(), this.#instances));
    return nodes.size * restPerRowMs;
  }

  /** Returns whether anything is to be told. */
  #tell(changed: Changed): boolean {
    if (isNobody(changed)) return false;
    this.#feeding.onChange(changed);
    return true;
  }

  /** Something was registered, or no longer is. */
  async #lookUp(isFirst: boolean): Promise<Ms> {
    const { signal } = this.#feeding;
    if (!isFirst) {
      await pause(gatherMs, signal);
      const isExplained = performance.now() - this.#toldAt < explainedMs;
      if (isExplained) await pause(Math.max(0, this.#lookedUpAt + lookUpEveryMs - performance.now()), signal);
    }
    let changed = await this.#newInstances();
    if (isFirst || !this.#isFed) changed = new Map();
    else if (isNobody(changed)) {
      if (performance.now() - this.#lookedInVainAt < lookInVainEveryMs) {
        // The server of the lists may only be behind the one that told.
        await pause(lookUpEveryMs, signal);
        changed = await this.#newInstances();
      } else {
        this.#lookedInVainAt = performance.now();
        changed = 'all';
      }
    }
    this.#tell(changed);
    return changed === 'all' ? lookAtAllEveryMs : (this.#instances?.size ?? 0) * restPerRowMs;
  }

  async #newInstances(): Promise<Changed> {
    this.#lookedUpAt = performance.now();
    const before = this.#instances;
    this.#instances = await this.#readInstances();
    return before === null || this.#instances === null ? 'all' : changesOf(before, this.#instances, null);
  }

  async #readInstances(): Promise<Rows | null> {
    const { list, services } = this.#feeding;
    const names = [...readNodes((await list({ what: 'nodes', stale: true }, this.#slackMs)).body).keys()];
    if (names.length > Math.max(1, services * nodesShare)) return null;
    const lists: Rows[] = [];
    for (const node of names)
      lists.push(readNode(node, (await list({ what: 'node', node, stale: true }, this.#slackMs)).body));
    return new Map(lists.flatMap((list) => [...list]));
  }

  #setUp(what: Kind, isUp: boolean): void {
    if (isUp) this.#up.add(what);
    else this.#up.delete(what);
    const isFed = this.#up.size === kinds.length;
    if (isFed === this.#isFed) return;
    this.#isFed = isFed;
    this.#feeding.onFed(isFed);
  }
}

function isNobody(changed: Changed): boolean {
  return changed !== 'all' && changed.size === 0;
}
