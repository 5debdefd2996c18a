/** Takes everything that happens and tells people of it: log, events, metrics, and what the status shows of the last reconcile. */
import type { Moment } from '../model.ts';
import type { Events } from './events.ts';
import type { Happening } from './happenings.ts';
import { KeptLog } from './kept-log.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Observer } from './observer.ts';
import { OfferLog } from './offer-log.ts';
import { ReloadOnlyLog } from './reload-only-log.ts';
import { SourceLog } from './source-log.ts';

export type ReporterParts = {
  readonly log: Log;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly now: () => Moment;
};

export class Reporter {
  readonly #parts: ReporterParts;
  readonly #observer: Observer;
  readonly #sources: SourceLog;
  readonly #kept: KeptLog;
  readonly #offers: OfferLog;
  readonly #reloadOnly: ReloadOnlyLog;

  constructor(parts: ReporterParts) {
    const { log, events, metrics, now } = parts;
    this.#parts = parts;
    this.#observer = new Observer(log, metrics, events, now);
    this.#sources = new SourceLog(log, events);
    this.#kept = new KeptLog(log, events);
    this.#offers = new OfferLog(log, events);
    this.#reloadOnly = new ReloadOnlyLog(log);
  }

  get lastApply(): Observer['lastApply'] {
    return this.#observer.lastApply;
  }

  /** As of the last reconcile that ended: one that is under way has yet to find out. */
  get quarantined(): Observer['apart'] {
    return this.#observer.apart;
  }

  get pending(): Observer['pending'] {
    return this.#observer.pending;
  }

  /** What is gathered for a moment is told now. */
  flush(): void {
    this.#sources.flush();
  }

  report(happening: Happening): void {
    const { log, events, now } = this.#parts;
    switch (happening.kind) {
      case 'started': {
        const { version, config, watchers } = happening;
        log.info({ version, config, watchers }, 'myelin runs');
        return;
      }
      case 'stopped':
        log.info({}, 'myelin ends');
        return;
      case 'source':
        this.#sources.note(happening.event, happening.refused, happening.isNews);
        return;
      case 'refused_by_config':
        this.#sources.judged(happening.refused);
        return;
      case 'reload_started':
        this.#observer.reload(happening.reasons);
        return;
      case 'reconciled': {
        const { result, collection, sections } = happening;
        this.#kept.note(collection.catalog, now());
        this.#offers.note(collection.unserved);
        this.#observer.result(result, happening);
        if (result.kind === 'reload' && sections !== null) this.#reloadOnly.note(sections);
        return;
      }
      case 'reconcile_failed':
        this.#observer.broke(happening.error);
        return;
      case 'drift':
        this.#observer.drift(happening.drift, happening.isRepaired ? 'repair' : 'report');
        return;
      case 'override_set':
        this.#observer.override(happening.override, 'given');
        return;
      case 'override_ended':
        this.#observer.override({ ...happening.override, state: null, until: null }, 'over');
        return;
      case 'accepted':
        this.#observer.accepted(happening.service, happening.endpoints);
        return;
      case 'config_read': {
        const { waitingFor, afterRestart } = happening;
        log.info({}, 'config and templates were read again');
        events.add({ kind: 'config_read', afterRestart });
        if (waitingFor.length > 0)
          log.info({ waitingFor }, 'the new config goes live once these services have an answer');
        if (afterRestart.length > 0) log.warn({ afterRestart }, 'some of the new config counts after a restart only');
        return;
      }
      case 'config_refused':
        this.#observer.configRefused(happening.error);
        return;
      case 'unhandled_rejection':
        log.error({ err: happening.error }, 'a failure that nobody waited for; Myelin goes on');
        return;
      case 'request_failed':
        log.error({ err: happening.error }, 'a request could not be answered');
        return;
      case 'address_awaited':
        log.info({ err: happening.error }, 'this address is had once the Myelin before this one has ended');
        return;
      case 'adopted':
      case 'taken_over':
      case 'address_moved':
      case 'exited':
      case 'dismissed':
      case 'unresponsive':
      case 'responsive':
      case 'binary_changed':
      case 'old_worker_gone':
      case 'connections_closed':
      case 'file_restored':
      case 'file_behind':
      case 'file_caught_up':
      case 'trouble':
        this.#observer.control(happening);
    }
  }
}
