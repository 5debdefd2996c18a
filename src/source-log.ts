/** What people are told of the sources: each trouble and its end once, whatever the number of attempts; and what is left out. */
import type { Refusals } from './catalog/guard.ts';
import type { Events } from './http/events.ts';
import type { Log } from './log.ts';
import type { SourceEvent } from './model.ts';

/** In one line; the status has them all. */
const mostRefused = 10;

export class SourceLog {
  readonly #log: Log;
  readonly #events: Pick<Events, 'add' | 'answered'>;
  /** The trouble that was told last: by watcher, and by watcher and question. */
  readonly #told = new Map<string, string>();

  constructor(log: Log, events: Pick<Events, 'add' | 'answered'>) {
    this.#log = log;
    this.#events = events;
  }

  /** `refused`: what is left out of the event, where some of it was not before; `isNews`: whether it changed anything. */
  note(event: SourceEvent, refused: Pick<Refusals, 'list' | 'count'>, isNews: boolean): void {
    const { watcher } = event;
    switch (event.kind) {
      case 'failed': {
        const facts = { watcher, reason: event.reason, retryInMs: Math.round(event.retryInMs) };
        if (this.#tell(watcher, event.reason, facts, 'source failed, what is known of it serves on'))
          this.#events.add({ kind: 'source_failed', ...facts });
        return;
      }
      case 'stale': {
        const { key: query, reason } = event;
        const facts = { watcher, query, reason };
        if (this.#tell(`${watcher}/${query}`, reason, facts, 'answer is stale, the last one serves on'))
          this.#events.add({ kind: 'answer_stale', ...facts });
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
        if (this.#told.delete(`${watcher}/${query}`)) {
          this.#log.info({ watcher, query }, 'answer is fresh again');
          this.#events.add({ kind: 'answer_fresh', watcher, query });
        }
        if (isNews) this.#events.answered({ watcher, query });
        const { list, count } = refused;
        if (count > 0) {
          this.#log.warn(
            { watcher, query, count, refused: list.slice(0, mostRefused) },
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

  /** Whether it is another trouble than before. */
  #tell(whose: string, reason: string, facts: object, message: string): boolean {
    const isNew = this.#told.get(whose) !== reason;
    this.#told.set(whose, reason);
    this.#log[isNew ? 'warn' : 'debug'](facts, message);
    return isNew;
  }
}
