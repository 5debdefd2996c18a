/** Reads config and templates again when they change or on SIGHUP; bad new ones are refused and the old ones stay. */

import { now } from './clock.ts';
import { AppError, describe } from './errors.ts';
import type { Events } from './http/events.ts';
import type { Log } from './log.ts';
import type { Instance } from './main.ts';
import type { Moment, Timestamp } from './model.ts';
import { keepFixed, type Settings } from './settings.ts';
import { changesOf } from './watched-files.ts';

/** `onRead` is told of everything that is read, also where that leads to an error. */
export type Load = (onRead?: (paths: readonly string[]) => void) => Promise<Settings>;

/** Why, and since when, the newest config is not in force. */
export type Refusal = { readonly reason: string; readonly since: Moment };

export class Rereading {
  readonly #load: Load;
  readonly #instance: Instance;
  readonly #log: Log;
  readonly #events: Pick<Events, 'add'>;
  #watched: readonly string[];
  #refused: Refusal | null = null;
  /** What the refused config was read from: to mend it is a change too. */
  #alsoWatched: readonly string[] = [];
  #ended: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(load: Load, instance: Instance, log: Log, events: Pick<Events, 'add'>) {
    this.#load = load;
    this.#instance = instance;
    this.#watched = instance.settings.watched;
    this.#log = log;
    this.#events = events;
  }

  get refused(): Refusal | null {
    return this.#refused;
  }

  /** `since`: a time of day before the first reading. Settles after `signal` aborted and the reading at hand has ended. */
  async follow(since: Timestamp, signal: AbortSignal): Promise<void> {
    const onHangup = (): void => void this.#again();
    process.on('SIGHUP', onHangup);
    try {
      const paths = (): string[] => [...this.#watched, ...this.#alsoWatched];
      for await (const _ of changesOf(paths, signal, { since })) await this.#again();
    } finally {
      process.off('SIGHUP', onHangup);
      await this.#ended;
    }
  }

  /** One reading after the other; one that has not begun yet is for all who ask. */
  #again(): Promise<void> {
    this.#next ??= this.#ended.then(() => {
      this.#next = null;
      return this.#read();
    });
    this.#ended = this.#next;
    return this.#next;
  }

  async #read(): Promise<void> {
    let read: readonly string[] = [];
    const onRead = (paths: readonly string[]): void => {
      read = [...read, ...paths];
    };
    try {
      const settings = await this.#load(onRead);
      const { config, afterRestart } = keepFixed(this.#instance.settings.config, settings.config);
      await this.#instance.use({ ...settings, config });
      this.#watched = settings.watched;
      this.#refused = null;
      this.#alsoWatched = [];
      this.#log.info({}, 'config and templates were read again');
      this.#events.add({ kind: 'config_read', afterRestart });
      const { waitingFor = [] } = this.#instance.edit ?? {};
      if (waitingFor.length > 0)
        this.#log.info({ waitingFor }, 'the new config goes live once these services have an answer');
      if (afterRestart.length > 0)
        this.#log.warn({ afterRestart }, 'some of the new config counts after a restart only');
    } catch (error) {
      const reason = describe(error);
      // The same fault is read again whenever one of the files changes: said once.
      if (this.#refused?.reason !== reason) {
        this.#log.error({ err: error }, 'the new config is refused, the old one stays');
        this.#events.add({ kind: 'config_refused', reason });
      }
      this.#refused = { reason, since: this.#refused?.since ?? now() };
      this.#alsoWatched = read;
      if (!(error instanceof AppError)) this.#log.error({ err: error }, 'reading the config broke off');
    }
  }
}
