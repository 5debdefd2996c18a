/** What people are told of the sources: each trouble and its end once, whatever the number of attempts and questions; and what is left out. */
import timers from 'node:timers';
import type { LeftOut } from '../catalog/report.ts';
import type { Origin } from '../catalog/state.ts';
import type { Ms, SourceEvent } from '../model.ts';
import { type Events, few } from './events.ts';
import type { Log } from './log.ts';

/** An agent that is restarted fails every question that it was asked: those of one reason are told together. */
const gatherMs: Ms = 500;

/** Questions that fail for one reason, or are answered again. */
type Group = {
  readonly watcher: string;
  /** null: answered again. */
  readonly reason: string | null;
  readonly queries: Set<string>;
};

/** In one line; the status has them all. */
const mostListed = 10;

export class SourceLog {
  readonly #log: Log;
  readonly #events: Pick<Events, 'add' | 'answered'>;
  /** The trouble that was told last: by watcher, and by watcher and question. */
  readonly #told = new Map<string, string>();
  readonly #gathered = new Map<string, Group>();
  #gathering: NodeJS.Timeout | undefined;

  constructor(log: Log, events: Pick<Events, 'add' | 'answered'>) {
    this.#log = log;
    this.#events = events;
  }

  /** `refused`: what is left out of the event, where some of it was not before; `isNews`: whether it changed anything. */
  note(event: SourceEvent, refused: LeftOut, isNews: boolean): void {
    const { watcher } = event;
    switch (event.kind) {
      case 'failed': {
        const facts = { watcher, reason: event.reason, retryInMs: Math.round(event.retryInMs) };
        const isNew = this.#isNew(watcher, event.reason);
        this.#log[isNew ? 'warn' : 'debug'](facts, 'source failed, what is known of it serves on');
        if (isNew) this.#events.add({ kind: 'source_failed', ...facts });
        return;
      }
      case 'stale': {
        const { key: query, reason } = event;
        if (this.#isNew(`${watcher}/${query}`, reason)) this.#gather({ watcher, reason }, query);
        else this.#log.debug({ watcher, query, reason }, 'answer is stale, the last one serves on');
        return;
      }
      case 'synced':
        this.#log.info({ watcher }, 'source has answered completely');
        this.#events.add({ kind: 'synced', watcher });
        return;
      case 'offers':
      case 'endpoints':
      case 'gone': {
        const { key: query } = event;
        if (this.#told.delete(watcher)) {
          this.#log.info({ watcher }, 'source answers again');
          this.#events.add({ kind: 'source_recovered', watcher });
        }
        if (this.#told.delete(`${watcher}/${query}`)) this.#gather({ watcher, reason: null }, query);
        if (isNews) this.#events.answered({ watcher, query });
        const { list, count } = refused;
        if (count > 0) {
          this.#log.warn(
            { watcher, query, count, refused: list.slice(0, mostListed) },
            'some of what the source says is left out',
          );
          this.#events.add({ kind: 'refused', watcher, query, count });
        }
        this.#log.trace({ ...event }, 'source');
        return;
      }
      case 'started':
        this.#log.trace({ ...event }, 'source');
    }
  }

  /** What is left out of answers that were there already, since another config counts. */
  judged(leftOut: readonly (Origin & LeftOut)[]): void {
    if (leftOut.length === 0) return;
    const told = leftOut.slice(0, mostListed);
    const facts = {
      count: leftOut.reduce((sum, { count }) => sum + count, 0),
      queries: told.map(({ watcher, key }) => `${watcher}/${key}`),
      refused: told.flatMap(({ list }) => list).slice(0, mostListed),
    };
    this.#log.warn(facts, 'some of what the sources say is left out by the new config');
    for (const { watcher, key: query, count } of told) this.#events.add({ kind: 'refused', watcher, query, count });
  }

  /** Tells what is gathered. */
  flush(): void {
    timers.clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const groups = [...this.#gathered.values()];
    this.#gathered.clear();
    for (const { watcher, reason, ...group } of groups) {
      const queries = [...group.queries];
      const { list, more } = few(queries);
      const [query = ''] = queries;
      const count = queries.length;
      const about = count === 1 ? { watcher, query } : { watcher, count, queries: list.slice(0, mostListed) };
      if (reason === null) {
        this.#log.info(about, count === 1 ? 'answer is fresh again' : 'answers are fresh again');
        this.#events.add({ kind: 'answer_fresh', watcher, queries: list, more });
      } else {
        const what =
          count === 1 ? 'answer is stale, the last one serves on' : 'answers are stale, the last ones serve on';
        this.#log.warn({ ...about, reason }, what);
        this.#events.add({ kind: 'answer_stale', watcher, queries: list, more, reason });
      }
    }
  }

  /** A question that has another trouble by now, or none, has had the one that is gathered: that one is told first. */
  #gather({ watcher, reason }: Omit<Group, 'queries'>, query: string): void {
    const isElsewhere = [...this.#gathered.values()].some((one) => one.watcher === watcher && one.queries.has(query));
    if (isElsewhere) this.flush();
    const key = JSON.stringify([watcher, reason]);
    const group = this.#gathered.get(key) ?? { watcher, reason, queries: new Set<string>() };
    group.queries.add(query);
    this.#gathered.set(key, group);
    this.#gathering ??= timers.setTimeout(() => this.flush(), gatherMs).unref();
  }

  /** Whether it is another trouble than before. */
  #isNew(whose: string, reason: string): boolean {
    const isNew = this.#told.get(whose) !== reason;
    this.#told.set(whose, reason);
    return isNew;
  }
}
