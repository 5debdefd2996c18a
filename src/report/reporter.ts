/** Takes all events and reports the news to people: in log, events, metrics, and the state for the status. */

import type { Catalog } from '../catalog/catalog.ts';
import type { CaFileState } from '../certificates/ca-files.ts';
import type { CertificateState } from '../certificates/certificates.ts';
import { routesOf } from '../config/routes.ts';
import { reloadOnly } from '../haproxy/resources/servers/plan/reload-only.ts';
import { toWallClock } from '../lib/time/clock.ts';
import type { Moment } from '../model.ts';
import type { OverrideRequest } from '../reconcile/overrides/override-store.ts';
import type { Quarantined } from '../reconcile/quarantine/quarantine.ts';
import type { Result } from '../reconcile/result.ts';
import type { RouteConflict } from '../routes/holders.ts';
import type { Events } from './events.ts';
import { shown } from './facts.ts';
import type { Happening, ReconcileContext } from './happenings.ts';
import type { Log } from './log.ts';
import { entryOf, type Message } from './messages.ts';
import type { Metrics } from './metrics.ts';
import { caFileNews } from './news/ca-files.ts';
import { certificateNews } from './news/certificates.ts';
import { discoveryNews } from './news/discovery.ts';
import { lossNews } from './news/losses.ts';
import { quarantineNews } from './news/quarantine.ts';
import { type Applied, ReconcileNews } from './news/reconciles.ts';
import { reloadOnlyNews } from './news/reload-only.ts';
import { routesNews } from './news/routes.ts';
import { type ServiceChange, ServiceChanges } from './news/service-changes.ts';
import { SourceNews } from './news/sources.ts';
import { stoppedMessage } from './news/stopped.ts';
import { RateLimit } from './rate-limit.ts';

export type ReporterParts = {
  readonly log: Log;
  readonly events: Pick<Events, 'add'>;
  readonly metrics: Metrics;
  readonly now: () => Moment;
};

export class Reporter {
  readonly #parts: ReporterParts;
  readonly #sources = new SourceNews((message, isRepeat) => this.#tell(message, isRepeat));
  readonly #reconciles = new ReconcileNews();
  readonly #services = new ServiceChanges();
  readonly #limit = new RateLimit();
  #catalog: Catalog | null = null;
  #rejected: ReconcileContext['collection']['rejected'] = [];
  #certificates: readonly CertificateState[] = [];
  #caFiles: readonly CaFileState[] = [];
  #conflicts: readonly RouteConflict[] = [];
  #quarantined: readonly Quarantined[] = [];
  /** Those of which the news was told. */
  #toldQuarantined: readonly Quarantined[] = [];
  #reloadOnly: ReadonlyMap<string, string> = new Map();
  #drift = '';

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  get lastApply(): Applied | null {
    return this.#reconciles.lastApply;
  }

  get lastReload(): Applied | null {
    return this.#reconciles.lastReload;
  }

  /** A wanted reload that waits. */
  get pending(): ReconcileNews['pending'] {
    return this.#reconciles.pending;
  }

  /** How HAProxy was last brought in step for this service; null: not by this run of Myelin. */
  lastChange(service: string): ServiceChange | null {
    return this.#services.get(service);
  }

  /** As of the last reconcile that ended: a running one does not know yet. */
  get quarantined(): readonly Quarantined[] {
    return this.#quarantined;
  }

  /** Reports at once what is gathered. */
  flush(): void {
    this.#sources.flush();
  }

  report(happening: Happening): void {
    const { log, now } = this.#parts;
    switch (happening.kind) {
      case 'source': {
        const { event, refused, isNews } = happening;
        log.trace({ ...event }, 'source');
        this.#sources.note(event, refused, isNews);
        return;
      }
      case 'refused_by_config':
        this.#sources.refusedByConfig(happening.refused);
        return;
      case 'haproxy_answered':
        this.#parts.metrics.haproxyAnswered(happening.tookMs);
        return;
      case 'reconciled':
        this.#reconciled(happening);
        return;
      case 'reconcile_failed': {
        const { message, isRepeat } = this.#reconciles.broke(happening.error, now());
        this.#tell(message, isRepeat);
        return;
      }
      case 'drift': {
        const { drift, isRepaired } = happening;
        const before = this.#drift;
        this.#drift = JSON.stringify(drift);
        this.#tell({ kind: isRepaired ? 'drift_repaired' : 'drift_found', drift }, before === this.#drift);
        return;
      }
      case 'certificates': {
        const news = certificateNews(this.#certificates, happening.certificates);
        const ofCaFiles = caFileNews(this.#caFiles, happening.caFiles);
        this.#certificates = happening.certificates;
        this.#caFiles = happening.caFiles;
        for (const message of [...news, ...ofCaFiles]) this.#tell(message);
        return;
      }
      case 'override_set':
        this.#tell(overrideSet(happening.override));
        return;
      case 'override_ended': {
        const { backend, server } = happening.override;
        this.#tell({ kind: 'override_ended', backend, server });
        return;
      }
      case 'config_read': {
        const { waitingFor, afterRestart } = happening;
        this.#tell({ kind: 'config_read', afterRestart });
        if (waitingFor.length > 0) this.#tell({ kind: 'config_waits', services: waitingFor });
        if (afterRestart.length > 0) this.#tell({ kind: 'restart_required', settings: afterRestart });
        return;
      }
      case 'stopped':
        this.#tell(stoppedMessage(happening));
        return;
      case 'started':
      case 'config_refused':
      case 'reload_started':
      case 'accepted':
      case 'watcher_hangs':
      case 'unhandled_rejection':
      case 'request_failed':
      case 'listen_waits':
      case 'socket_restored':
      case 'adopted':
      case 'taken_over':
      case 'address_moved':
      case 'exited':
      case 'stopped_externally':
      case 'unresponsive':
      case 'responsive':
      case 'backend_down':
      case 'backend_down_others':
      case 'backend_up':
      case 'binary_changed':
      case 'old_worker_gone':
      case 'connections_closed':
      case 'file_restored':
      case 'file_behind':
      case 'file_caught_up':
      case 'output_written':
      case 'output_failed':
      case 'output_restored':
      case 'output_recovered':
      case 'trouble':
        this.#tell(happening);
    }
  }

  #reconciled(context: ReconcileContext): void {
    const { metrics, now } = this.#parts;
    const { result, collection, quarantined, sections, renderMs } = context;
    const { conflicts } = routesOf(collection.config);
    const news = [
      ...lossNews(this.#catalog, collection.catalog),
      ...discoveryNews(this.#rejected, collection.rejected),
      ...routesNews(this.#conflicts, conflicts),
      ...this.#quarantineNews(quarantined, result),
    ];
    this.#catalog = collection.catalog;
    this.#rejected = collection.rejected;
    this.#conflicts = conflicts;
    this.#quarantined = quarantined;
    metrics.rendered(renderMs);
    if (result.kind === 'noop') metrics.updated('noop', null);
    const outcome = this.#reconciles.result(context, now());
    this.#services.note(context, now());
    for (const message of news) this.#tell(message);
    if (outcome !== null) this.#tell(outcome.message, outcome.isRepeat);
    if (result.kind !== 'reload' || sections === null) return;
    const found = reloadOnly(sections);
    for (const message of reloadOnlyNews(this.#reloadOnly, found)) this.#tell(message);
    this.#reloadOnly = found;
  }

  /** Where nothing goes live because of them, the result says it all. */
  #quarantineNews(quarantined: readonly Quarantined[], result: Result): readonly Message[] {
    const isSaid = ({ service }: Quarantined): boolean =>
      result.kind === 'rejected' && result.problems.some((problem) => problem.service === service);
    if (quarantined.length > 0 && quarantined.every(isSaid)) return [];
    const news = quarantineNews(this.#toldQuarantined, quarantined);
    this.#toldQuarantined = quarantined;
    return news;
  }

  /** `isRepeat`: nothing has changed since the last such message. */
  #tell(message: Message, isRepeat = false): void {
    const { log, events, metrics, now } = this.#parts;
    const { told, count } = entryOf(message.kind);
    count?.(metrics, message);
    if (told === 'once in 5 minutes' && !this.#limit.isNews(JSON.stringify(shown(message)), now())) return;
    const isQuiet = isRepeat && told !== 'each time';
    log.tell(message, isQuiet);
    if (isQuiet && told !== 'on change, the event each time') return;
    if (message.kind !== 'answered') this.#sources.flushAnswers();
    events.add(shown(message));
  }
}

function overrideSet({ backend, server, state, until }: OverrideRequest): Message {
  const ends = until === null ? null : toWallClock(until);
  return { kind: 'override_set', backend, server, state: state ?? 'ready', until: ends };
}
