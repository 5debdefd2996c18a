/** What people are told of the sources: each trouble and its end once, whatever the number of attempts; and what is left out. */
import type { Refusal } from './catalog/guard.ts';
import type { Log } from './log.ts';
import type { SourceEvent } from './model.ts';

/** In one line; the status has them all. */
const mostRefused = 10;

export class SourceLog {
  readonly #log: Log;
  /** The trouble that was told last: by watcher, and by watcher and question. */
  readonly #told = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `refused`: what the event brought that is left out, and was not before. */
  note(event: SourceEvent, refused: readonly Refusal[]): void {
    const { watcher } = event;
    switch (event.kind) {
      case 'failed': {
        const facts = { watcher, reason: event.reason, retryInMs: Math.round(event.retryInMs) };
        this.#tell(watcher, event.reason, facts, 'source failed, what is known of it serves on');
        return;
      }
      case 'stale': {
        const { key: query, reason } = event;
        this.#tell(
          `${watcher}/${query}`,
          reason,
          { watcher, query, reason },
          'answer is stale, the last one serves on',
        );
        return;
      }
      case 'synced':
        this.#log.info({ watcher }, 'source has answered completely');
        return;
      case 'endpoints':
      case 'gone': {
        const { key: query } = event;
        if (this.#told.delete(watcher)) this.#log.info({ watcher }, 'source answers again');
        if (this.#told.delete(`${watcher}/${query}`)) this.#log.info({ watcher, query }, 'answer is fresh again');
        if (refused.length > 0)
          this.#log.warn(
            { watcher, query, count: refused.length, refused: refused.slice(0, mostRefused) },
            'some of what the source says is left out',
          );
        this.#log.trace({ ...event }, 'source');
        return;
      }
      case 'started':
        this.#log.trace({ ...event }, 'source');
    }
  }

  #tell(whose: string, reason: string, facts: object, message: string): void {
    const level = this.#told.get(whose) === reason ? 'debug' : 'warn';
    this.#told.set(whose, reason);
    this.#log[level](facts, message);
  }
}
