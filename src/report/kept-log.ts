/** Tells when endpoints that no source names any more begin to be kept, and when that is over; each once. */
import type { Catalog } from '../catalog/catalog.ts';
import { newlyKept } from '../catalog/report.ts';
import { toWallClock } from '../lib/clock.ts';
import type { Moment } from '../model.ts';
import type { Events } from './events.ts';
import type { Log } from './log.ts';

export class KeptLog {
  readonly #log: Log;
  readonly #events: Pick<Events, 'add'>;
  #before: Catalog | null = null;

  constructor(log: Log, events: Pick<Events, 'add'>) {
    this.#log = log;
    this.#events = events;
  }

  note(catalog: Catalog, now: Moment): void {
    for (const { service, kept, count } of newlyKept(this.#before, catalog)) {
      const until = kept === null || kept.until === null ? null : toWallClock(kept.until);
      if (kept === null) this.#events.add({ kind: 'kept_no_longer', service });
      else this.#events.add({ kind: 'kept', service, reason: kept.reason, endpoints: count, until });
      const forMs = kept === null || kept.until === null ? null : Math.round(kept.until - now);
      const facts = { kept: service, endpoints: count, forMs, remedy: `myelin accept ${service}` };
      switch (kept?.reason) {
        case 'shrunk':
          this.#log.warn(facts, 'many endpoints are gone at once and kept for now (maxShrink)');
          break;
        case 'emptied':
          this.#log.warn(facts, 'all endpoints are gone and the last ones kept (onEmpty)');
          break;
        case undefined:
          this.#log.info({ kept: service }, 'no endpoints are kept any more');
      }
    }
    this.#before = catalog;
  }
}
