/** Watches which worker serves under the master, and decides what to do with one that Myelin did not start. */
import timers from 'node:timers/promises';
import { describe } from '../../errors.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import type { Ms } from '../../model.ts';
import type { DriverContext, Trouble } from '../driver.ts';
import type { Generation } from '../state/generation.ts';
import type { MasterProcesses, Seen } from './processes.ts';
import { recognise, recordReady } from './recognise.ts';
import { idOf, isSame } from './serving.ts';
import { Silence } from './silence.ts';

const workerPauseMs: Ms = 20;

export class MasterWatch {
  /** Version of the HAProxy seen last; null where that is not known. */
  version: Version | null;
  readonly #context: DriverContext;
  readonly #processes: MasterProcesses;
  readonly #record: Generation;
  readonly #silence = new Silence();
  /** Why the master does not answer while its worker does; null: it answers, or neither does. */
  #masterTrouble: Trouble | null = null;

  constructor(
    context: DriverContext,
    processes: MasterProcesses,
    { record, version }: { readonly record: Generation; readonly version: Version | null },
  ) {
    this.#context = context;
    this.#processes = processes;
    this.#record = record;
    this.version = version;
  }

  /** Since when, and why, the master is silent while its worker keeps serving; null: it answers, or pauses briefly. */
  get masterTrouble(): Trouble | null {
    return this.#masterTrouble;
  }

  /** null where the master does not answer. */
  async poll(): Promise<Seen['kind'] | null> {
    const processes = this.#processes;
    const askedAt = this.#context.now();
    let seen: Seen;
    try {
      seen = await processes.poll();
    } catch (cause) {
      const { isAlone, error } = await processes.withoutMaster(cause);
      this.#noteSilence(error);
      const since = isAlone ? this.#silence.reportedSince : null;
      this.#masterTrouble = since === null ? null : { since, reason: describe(error) };
      processes.heard(askedAt, isAlone ? null : error);
      return isAlone ? 'same' : null;
    }
    this.#masterTrouble = null;
    if (seen.kind === 'nobody') {
      if (seen.isLeaving) processes.ended('soft_stop');
      else if (processes.isLeaving) processes.ended('gone');
      else this.#noteSilence(null);
      return seen.kind;
    }
    this.#silence.heard();
    if (seen.kind === 'other') await this.#meet(seen);
    processes.heard(askedAt, seen.kind === 'silent' ? seen.error : null);
    return seen.kind;
  }

  #noteSilence(error: unknown): void {
    const { now, onEvent } = this.#context;
    const what = this.#silence.noted(now(), error);
    if (what === 'gone') this.#processes.ended('gone');
    if (what === 'trouble') onEvent({ kind: 'trouble', error });
  }

  /** A different worker serves, and Myelin did not start it. */
  async #meet({ info, isReload }: Extract<Seen, { kind: 'other' }>): Promise<void> {
    const { config, file, now, policy, onEvent, onChange, noteChange, tolerate } = this.#context;
    const record = this.#record;
    const processes = this.#processes;
    const id = idOf(info, now());
    if (processes.foreign !== null && isSame(processes.foreign, id)) return;
    this.version = info.version;
    const before = processes.serving?.worker.intended.sections ?? null;
    const recognised = await recognise({ info, id, file, record, ask: processes.ask, isReload, before });
    const isLeftSo = recognised.kind === 'loaded' && recognised.isByHand && config().drift === 'report';
    policy.resetBackOff();
    if (recognised.kind === 'unknown' || isLeftSo) {
      const { isByHand, isInPlaceOfOurs } = { isInPlaceOfOurs: true, ...recognised };
      processes.meet({ ...id, isByHand }, isInPlaceOfOurs);
      onChange();
      return;
    }
    const { kind, sections } = recognised;
    if (kind === 'recorded') {
      const { worker } = processes.serve(info, sections, null, recognised.since);
      worker.recallLeaving(recognised.leaving);
    } else await tolerate(recordReady(record, processes.serve(info, sections, sections)));
    onEvent({ kind: 'adopted', pid: id.pid, generation: processes.serving?.generation ?? 0 });
    noteChange();
    onChange();
  }

  /** A master that has just started soon has a worker, which may already run the desired config. */
  async awaitWorker(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + this.#context.config().reload.startTimeout;
    while ((await this.poll()) === 'nobody' && !this.#processes.isLeaving && performance.now() < deadline)
      await timers.setTimeout(workerPauseMs, undefined, { signal });
  }
}
