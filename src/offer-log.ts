/** Tells of each offered service that is left out, when it begins to be and when that is over; each once. */
import type { Unserved } from './config/offered.ts';
import type { Events } from './http/events.ts';
import type { Log } from './log.ts';

export class OfferLog {
  readonly #log: Log;
  readonly #events: Pick<Events, 'add'>;
  #before: readonly Unserved[] = [];

  constructor(log: Log, events: Pick<Events, 'add'>) {
    this.#log = log;
    this.#events = events;
  }

  note(unserved: readonly Unserved[]): void {
    if (unserved === this.#before) return;
    const before = new Map(this.#before.map((one) => [keyOf(one), one]));
    this.#before = unserved;
    for (const one of unserved) {
      const known = before.get(keyOf(one));
      before.delete(keyOf(one));
      if (known?.reason === one.reason) continue;
      this.#log.warn({ ...one }, 'a service that is offered is left out, the others are served');
      this.#events.add({ kind: 'left_out', ...one });
    }
    for (const { watcher, service } of before.values()) {
      this.#log.info({ watcher, service }, 'a service that was offered is left out no more');
      this.#events.add({ kind: 'left_out_no_more', watcher, service });
    }
  }
}

function keyOf({ watcher, service }: Unserved): string {
  return `${watcher} ${service}`;
}
