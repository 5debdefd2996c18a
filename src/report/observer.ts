/** Tells people what happens: one log line an apply, what the status shows of it, what is counted, and events. */
import type { DriverEvent } from '../apply/driver-event.ts';
import { describe } from '../errors.ts';
import { toWallClock } from '../lib/clock.ts';
import type { Drift, Moment, Ms, Problem, ReloadReason } from '../model.ts';
import type { OverrideRequest } from '../reconcile/override-store.ts';
import type { Quarantined } from '../reconcile/quarantine.ts';
import type { Result } from '../reconcile/result.ts';
import type { RuntimeResult } from '../reconcile/runtime-updater.ts';
import { type Events, few, type Happening } from './events.ts';
import type { ReconcileContext } from './happenings.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { LastApply } from './status.ts';

const sameTroubleMs: Ms = 300_000;
const mostTroubles = 1000;

/** As the status shows it, but for the time of day. */
type Applied = Omit<LastApply, 'at'> & { readonly at: Moment };

export class Observer {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #events: Pick<Events, 'add'>;
  readonly #now: () => Moment;
  #lastApply: Applied | null = null;
  /** The last one that went well. */
  #lastApplied: Applied | null = null;
  #pending: Extract<Result, { kind: 'pending' }> | null = null;
  #apart: readonly Quarantined[] = [];
  /** What is amiss is said once, not at every attempt. */
  #complaint: string | null = null;
  #reportedDrift: string | null = null;
  /** What was told, and when. */
  readonly #troubles = new Map<string, Moment>();

  constructor(log: Log, metrics: Metrics, events: Pick<Events, 'add'>, now: () => Moment) {
    this.#log = log;
    this.#metrics = metrics;
    this.#events = events;
    this.#now = now;
  }

  get lastApply(): Applied | null {
    return this.#lastApply;
  }

  /** As of the last reconcile that ended: one that is under way has yet to find out. */
  get apart(): readonly Quarantined[] {
    return this.#apart;
  }

  get pending(): Extract<Result, { kind: 'pending' }> | null {
    return this.#pending;
  }

  /** One reconcile has ended. */
  result(result: Result, { changedAt, isServing, quarantined, renderMs, tookMs }: ReconcileContext): void {
    const now = this.#now();
    const sinceChangeMs = changedAt === null ? null : now - changedAt;
    this.#metrics.rendered(renderMs);
    this.#noteApart(quarantined);
    const serves = isServing ? 'what runs serves on' : 'nothing serves';
    const pendingBefore = this.#pending;
    this.#pending = result.kind === 'pending' ? result : null;
    switch (result.kind) {
      case 'noop':
        this.#metrics.updated('noop', null);
        // What could not be applied is not wanted any more.
        this.#lastApply = this.#lastApplied;
        this.#complaint = null;
        return;
      case 'postponed':
        return;
      case 'pending':
        this.#log.debug(
          { reasons: result.reasons, because: result.because, inMs: Math.round(result.at - now) },
          'reload waits',
        );
        // Each change meanwhile finds it waiting still.
        if (JSON.stringify(pendingBefore) !== JSON.stringify(result)) this.#events.add(pendingEvent(result));
        return;
      case 'runtime':
        this.#complaint = null;
        this.#changed(result, sinceChangeMs, tookMs);
        return;
      case 'reload': {
        const { reasons } = result;
        this.#lastApplied = { at: now, result: 'reload', reasons, backends: [], tookMs, error: null };
        this.#lastApply = this.#lastApplied;
        this.#complaint = null;
        this.#log.info({ reasons, tookMs: Math.round(tookMs), sinceChangeMs: rounded(sinceChangeMs) }, 'reloaded');
        this.#metrics.updated('reload', sinceChangeMs);
        this.#metrics.reloaded(reasons, 'ok', result.tookMs);
        this.#events.add({ kind: 'reload', ...fewReasons(reasons), tookMs, sinceChangeMs });
        return;
      }
      case 'rejected': {
        const error = result.problems.map(describeProblem).join('; ');
        this.#lastApply = { at: now, result: 'rejected', reasons: [], backends: [], tookMs: null, error };
        this.#metrics.updated('rejected', null);
        this.#events.add({ kind: 'rejected', ...fewProblems(result.problems) });
        this.#complain(error, () => this.#log.error({ problems: result.problems }, `rejected, ${serves}`));
        return;
      }
      case 'failed': {
        const error = describe(result.error);
        this.#lastApply = { at: now, result: 'failed', reasons: result.reasons, backends: [], tookMs: null, error };
        this.#metrics.updated('failed', null);
        if (result.reasons.length > 0) this.#metrics.reloaded(result.reasons, 'failed', tookMs);
        this.#events.add({ kind: 'failed', error, ...fewReasons(result.reasons) });
        const { code, remedy } = result.error;
        this.#complain(error, () =>
          this.#log.error({ err: result.error, code, remedy }, `could not be applied, ${serves}`),
        );
      }
    }
  }

  /** One reconcile came to no end that it knows: nothing was applied, and another one follows. */
  broke(err: unknown): void {
    const error = describe(err);
    this.#lastApply = { at: this.#now(), result: 'failed', reasons: [], backends: [], tookMs: null, error };
    this.#metrics.updated('failed', null);
    this.#events.add({ kind: 'failed', error, reasons: [], more: 0 });
    this.#complain(error, () => this.#log.error({ err }, 'a reconcile failed; it is tried again in a second'));
  }

  /** Something that a HAProxy did by itself, or that was done to one. */
  control(event: DriverEvent): void {
    const { kind: _, ...facts } = event;
    if (event.kind === 'trouble' && !this.#isNews(describe(event.error))) return;
    this.#events.add(happeningOf(event));
    switch (event.kind) {
      case 'adopted':
        this.#log.info(facts, 'HAProxy was running already and is kept');
        return;
      case 'taken_over':
        this.#log.info(
          facts,
          'the HAProxy of another Myelin has handed over: both take connections until that one ends',
        );
        return;
      case 'address_moved':
        this.#log.warn(facts, 'an address took another form: these frontends refused connections for a moment');
        return;
      case 'exited':
        this.#log.error(facts, 'HAProxy has ended by itself');
        return;
      case 'dismissed':
        this.#log.error(facts, 'HAProxy was told to leave by somebody else');
        return;
      case 'unresponsive':
        this.#log.error({ pid: event.pid, err: event.error }, 'HAProxy does not answer: it hangs, or is stopped');
        return;
      case 'responsive':
        this.#log.info({ ...facts, silentMs: Math.round(event.silentMs) }, 'HAProxy answers again');
        return;
      case 'binary_changed':
        this.#log.info(facts, 'the executable of HAProxy has changed');
        return;
      case 'old_worker_gone':
        this.#log.debug(facts, 'an old HAProxy has finished');
        return;
      case 'connections_closed':
        this.#log.warn(facts, 'a limit closed connections of an old HAProxy');
        this.#metrics.connectionsClosed(event.limit, event.connections);
        return;
      case 'file_restored':
        this.#log.warn(facts, 'the proven file was put back');
        return;
      case 'file_behind':
        this.#log.error({ err: event.error }, 'the file on disk cannot be written: it is behind what runs');
        return;
      case 'file_caught_up':
        this.#log.info(facts, 'the file on disk is what runs again');
        return;
      case 'trouble':
        this.#log.warn({ err: event.error }, 'background task failed, what runs is not affected');
    }
  }

  /** Servers are not what they should be. */
  drift(drift: readonly Drift[], what: 'repair' | 'report'): void {
    if (what === 'repair') this.#metrics.driftRepaired(drift.length);
    const text = JSON.stringify(drift);
    if (what === 'report' && this.#reportedDrift === text) return;
    this.#reportedDrift = text;
    const { list, more } = few(drift);
    this.#events.add({ kind: 'drift', drift: list, more, isRepaired: what === 'repair' });
    this.#log.warn(
      { drift },
      what === 'repair' ? 'servers are set right again' : 'servers are not what they should be',
    );
  }

  /** A reload has begun; its end is a result. */
  reload(reasons: readonly ReloadReason[]): void {
    this.#log.debug({ reasons }, 'reload begins');
    this.#events.add({ kind: 'reload_begun', ...fewReasons(reasons) });
  }

  /** An operator's order is obeyed from now on, or its time is over. */
  override({ backend, server, state, until }: OverrideRequest, what: 'given' | 'over'): void {
    const facts = { backend, server };
    const ends = until === null ? null : toWallClock(until);
    if (what === 'over') {
      this.#log.info(facts, 'the time of an order is over, the server is given back');
      this.#events.add({ kind: 'order_over', backend, server });
      return;
    }
    if (state === null) this.#log.info(facts, 'an operator gives a server back');
    else this.#log.info({ ...facts, state, until: ends }, 'an operator takes a server out');
    this.#events.add({ kind: 'ordered', backend, server, state: state ?? 'ready', until: ends });
  }

  /** An operator lets kept endpoints go. */
  accepted(service: string, endpoints: number): void {
    this.#log.info({ accepted: service, endpoints }, 'an operator lets kept endpoints go');
    this.#events.add({ kind: 'accepted', service, endpoints });
  }

  configRefused(error: unknown): void {
    this.#log.error({ err: error }, 'the new config is refused, the old one stays');
    this.#events.add({ kind: 'config_refused', reason: describe(error) });
  }

  #changed({ commands, backends, tookMs }: RuntimeResult, sinceChangeMs: Ms | null, wholeMs: Ms): void {
    this.#lastApplied = {
      at: this.#now(),
      result: 'runtime',
      reasons: [],
      backends,
      tookMs: wholeMs,
      error: null,
    };
    this.#lastApply = this.#lastApplied;
    this.#log.info(
      { backends, commands, tookMs: Math.round(tookMs), sinceChangeMs: rounded(sinceChangeMs) },
      'servers changed',
    );
    this.#metrics.updated('runtime', sinceChangeMs);
    const { list, more } = few(backends);
    this.#events.add({ kind: 'runtime', backends: list, more, commands, tookMs: wholeMs, sinceChangeMs });
  }

  #noteApart(apart: readonly Quarantined[]): void {
    const before = this.#apart;
    this.#apart = apart;
    const said = new Map(before.map((one) => [one.service, textOf(one.problems)]));
    for (const { service, problems } of apart) {
      if (said.get(service) === textOf(problems)) continue;
      this.#log.error({ apart: service, problems }, 'service is set apart');
      this.#events.add({ kind: 'set_apart', service, ...fewProblems(problems) });
    }
    for (const { service } of before) {
      if (apart.some((one) => one.service === service)) continue;
      this.#log.info({ apart: service }, 'service is whole again');
      this.#events.add({ kind: 'whole_again', service });
    }
  }

  /** What goes wrong again and again is told now and then. */
  #isNews(trouble: string): boolean {
    const now = this.#now();
    for (const [told, at] of this.#troubles) if (now - at >= sameTroubleMs) this.#troubles.delete(told);
    if (this.#troubles.has(trouble)) return false;
    if (this.#troubles.size >= mostTroubles) this.#troubles.clear();
    this.#troubles.set(trouble, now);
    return true;
  }

  #complain(complaint: string, say: () => void): void {
    if (this.#complaint !== complaint) say();
    this.#complaint = complaint;
  }
}

function happeningOf(event: DriverEvent): Happening {
  if ('error' in event) return { ...event, error: describe(event.error) };
  if (event.kind !== 'address_moved') return event;
  const { list, more } = few(event.frontends);
  return { kind: event.kind, frontends: list, more };
}

function pendingEvent({ reasons, because, at }: Extract<Result, { kind: 'pending' }>): Happening {
  return { kind: 'pending', ...fewReasons(reasons), because, startsAt: toWallClock(at) };
}

function fewReasons(all: readonly ReloadReason[]): {
  readonly reasons: readonly ReloadReason[];
  readonly more: number;
} {
  const { list, more } = few(all);
  return { reasons: list, more };
}

function fewProblems(all: readonly Problem[]): { readonly problems: readonly Problem[]; readonly more: number } {
  const { list, more } = few(all);
  return { problems: list, more };
}

function textOf(problems: readonly Problem[]): string {
  return problems.map(describeProblem).join('\n');
}

function describeProblem({ message, line, service }: Problem): string {
  return `${service === null ? '' : `service ${service}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
}

function rounded(ms: Ms | null): Ms | null {
  return ms === null ? null : Math.round(ms);
}
