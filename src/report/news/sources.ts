/** Messages about the sources: each trouble and its end is reported once, whatever the number of tries and queries. */
import timers from 'node:timers';
import type { LeftOut } from '../../catalog/report.ts';
import type { Origin } from '../../catalog/state.ts';
import type { Ms, SourceEvent } from '../../model.ts';
import type { Message } from '../messages.ts';

/** At the first sync each of thousands of services may get a result. */
const answersMs: Ms = 100;

/** A restarted agent fails all its queries: failures for one reason are reported together. */
const troublesMs: Ms = 500;

/** Queries that fail for one reason, or have recovered. */
type Group = {
  readonly watcher: string;
  /** null: the queries have recovered. */
  readonly reason: string | null;
  readonly queries: Set<string>;
};

type Tell = (message: Message, isRepeat?: boolean) => void;

export class SourceNews {
  readonly #tell: Tell;
  /** The last reported trouble: by watcher, and by watcher and query. */
  readonly #troubles = new Map<string, string>();
  /** The watchers that have answered. */
  readonly #heard = new Set<string>();
  readonly #groups = new Map<string, Group>();
  #groupsTimer: NodeJS.Timeout | undefined;
  /** By watcher, the queries whose new results are not reported yet. */
  readonly #answered = new Map<string, Set<string>>();
  #answersTimer: NodeJS.Timeout | undefined;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  /** `refused`: what is left out of the result, if some of it is new; `isNews`: whether the result changed anything. */
  note(event: SourceEvent, { list, count }: LeftOut, isNews: boolean): void {
    const { watcher } = event;
    switch (event.kind) {
      case 'started':
        return;
      case 'failed': {
        const { reason, retryInMs } = event;
        const hasAnswered = this.#heard.has(watcher);
        this.#tell({ kind: 'source_failed', watcher, reason, retryInMs, hasAnswered }, this.#isRepeat(watcher, reason));
        return;
      }
      case 'stale': {
        const { key, reason } = event;
        if (this.#isRepeat(`${watcher}/${key}`, reason))
          this.#tell({ kind: 'query_failed', watcher, queries: [key], reason }, true);
        else this.#group(watcher, reason, key);
        return;
      }
      case 'synced':
        this.#tell({ kind: 'synced', watcher });
        return;
      case 'discovered':
      case 'endpoints':
      case 'gone': {
        const { key: query } = event;
        this.#heard.add(watcher);
        if (this.#troubles.delete(watcher)) this.#tell({ kind: 'source_recovered', watcher });
        if (this.#troubles.delete(`${watcher}/${query}`)) this.#group(watcher, null, query);
        if (isNews) this.#noteAnswer(watcher, query);
        if (count > 0) this.#tell({ kind: 'refused', watcher, query, count, refused: list });
      }
    }
  }

  /** Reports what a new config leaves out of results that were received before. */
  refusedByConfig(leftOut: readonly (Origin & LeftOut)[]): void {
    if (leftOut.length === 0) return;
    this.#tell({
      kind: 'refused_by_config',
      count: leftOut.reduce((sum, { count }) => sum + count, 0),
      queries: leftOut.map(({ watcher, key }) => `${watcher}/${key}`),
      refused: leftOut.flatMap(({ list }) => list),
    });
  }

  /** Results are reported together with those that come within a moment, and before anything that follows from them. */
  flushAnswers(): void {
    timers.clearTimeout(this.#answersTimer);
    this.#answersTimer = undefined;
    const answered = [...this.#answered];
    this.#answered.clear();
    for (const [watcher, queries] of answered) this.#tell({ kind: 'answered', watcher, queries: [...queries].sort() });
  }

  /** Reports everything that is gathered. */
  flush(): void {
    this.flushAnswers();
    timers.clearTimeout(this.#groupsTimer);
    this.#groupsTimer = undefined;
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    for (const { watcher, reason, queries: found } of groups) {
      const queries = [...found];
      if (reason === null) this.#tell({ kind: 'query_recovered', watcher, queries });
      else this.#tell({ kind: 'query_failed', watcher, queries, reason });
    }
  }

  #noteAnswer(watcher: string, query: string): void {
    const queries = this.#answered.get(watcher) ?? new Set();
    this.#answered.set(watcher, queries.add(query));
    this.#answersTimer ??= timers.setTimeout(() => this.flushAnswers(), answersMs).unref();
  }

  /** Where the query is in another group, its trouble has changed since: that group is reported first. */
  #group(watcher: string, reason: string | null, query: string): void {
    const isElsewhere = [...this.#groups.values()].some((one) => one.watcher === watcher && one.queries.has(query));
    if (isElsewhere) this.flush();
    const key = JSON.stringify([watcher, reason]);
    const group = this.#groups.get(key) ?? { watcher, reason, queries: new Set<string>() };
    group.queries.add(query);
    this.#groups.set(key, group);
    this.#groupsTimer ??= timers.setTimeout(() => this.flush(), troublesMs).unref();
  }

  /** Whether this trouble was reported before. */
  #isRepeat(whose: string, reason: string): boolean {
    const isRepeat = this.#troubles.get(whose) === reason;
    this.#troubles.set(whose, reason);
    return isRepeat;
  }
}
