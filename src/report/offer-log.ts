/** Tells of each offered service that is left out, when it begins to be and when that is over; each once. */
import type { Unserved } from '../config/discover/offered.ts';
import { type Events, few } from './events.ts';
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
    const fresh = unserved.filter((one) => before.get(keyOf(one))?.reason !== one.reason);
    for (const one of unserved) before.delete(keyOf(one));
    // One wrong limit may leave out all there are; the status has them.
    const { list, more } = few(fresh);
    for (const one of list) {
      this.#log.warn({ ...one }, 'a service that is offered is left out, the others are served');
      this.#events.add({ kind: 'left_out', ...one });
    }
    if (more > 0) this.#log.warn({ more }, 'more services that are offered are left out; the status has them all');
    for (const { watcher, service } of few([...before.values()]).list) {
      this.#log.info({ watcher, service }, 'a service that was offered is left out no more');
      this.#events.add({ kind: 'left_out_no_more', watcher, service });
    }
  }
}

function keyOf({ watcher, service }: Unserved): string {
  return `${watcher} ${service}`;
}
