/** Reads config and templates again on changes and on SIGHUP. A bad edit is refused, and the old settings stay. */
import { readdir } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { describe } from '../errors.ts';
import type { Instance } from '../instance/instance.ts';
import { type ReadFile, readAgain } from '../lib/files/read-file.ts';
import { changesOf } from '../lib/files/watched-files.ts';
import { now } from '../lib/time/clock.ts';
import { settle } from '../lib/time/settle.ts';
import type { Moment, Ms, Timestamp } from '../model.ts';
import type { Report } from '../report/happenings.ts';
import { keepFixed, type Settings } from './settings.ts';

/** `onRead` is called with all paths that are read, also before an error. */
export type Load = (readFile: ReadFile, onRead?: (paths: readonly string[]) => void) => Promise<Settings>;

/** Why the newest config is not used, and since when. */
export type Refusal = { readonly reason: string; readonly since: Moment };

type Contents = ReadonlyMap<string, string>;

type Reading = { readonly contents: Contents } & (
  | { readonly settings: Settings; readonly error: null }
  | { readonly settings: null; readonly error: unknown }
);

/** A file may be read while it is written: it counts when it has not changed for this time. */
const settleMs: Ms = 300;
/** The same where the edit removes something or is invalid. */
const settleLongMs: Ms = 2000;

export class Rereading {
  readonly #load: Load;
  readonly #instance: Instance;
  readonly #report: Report;
  #watched: readonly string[];
  /** Of the settings that are used. */
  #contents: Contents = new Map();
  #refused: Refusal | null = null;
  /** Files of the refused config: mending one of them is a change as well. */
  #alsoWatched: readonly string[] = [];
  #ended: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(load: Load, instance: Instance, report: Report) {
    this.#load = load;
    this.#instance = instance;
    this.#watched = instance.settings.watched;
    this.#report = report;
  }

  get refused(): Refusal | null {
    return this.#refused;
  }

  /** `since`: a time of day before the first reading. Settles after `signal` has aborted and the last reading ended. */
  async follow(since: Timestamp, signal: AbortSignal): Promise<void> {
    const onHangup = (): void => void this.#again(signal);
    process.on('SIGHUP', onHangup);
    try {
      this.#contents = await contentsOf(this.#watched);
      const paths = (): string[] => [...this.#watched, ...this.#alsoWatched];
      for await (const _ of changesOf(paths, signal, { since })) await this.#again(signal);
    } finally {
      process.off('SIGHUP', onHangup);
      await this.#ended;
    }
  }

  /** Readings follow each other. Requests that come before the next one begins share it. */
  #again(signal: AbortSignal): Promise<void> {
    this.#next ??= this.#ended.then(() => {
      this.#next = null;
      return this.#read(signal);
    });
    this.#ended = this.#next;
    return this.#next;
  }

  async #read(signal: AbortSignal): Promise<void> {
    const reading = await settle(await this.#look(), {
      read: () => this.#look(),
      isSame: (one, other) => isDeepStrictEqual(one.contents, other.contents),
      waitMs: (last) => (this.#loses(last) ? settleLongMs : settleMs),
      signal,
    });
    if (signal.aborted) return;
    try {
      if (reading.settings === null) throw reading.error;
      await this.#use(reading.settings);
      this.#contents = reading.contents;
    } catch (error) {
      this.#refuse(error, [...reading.contents.keys()]);
    }
  }

  /** The settings or the error, with the contents of all files that were read. */
  async #look(): Promise<Reading> {
    const paths = new Set<string>();
    const onRead = (read: readonly string[]): void => {
      for (const path of read) paths.add(path);
    };
    const result = await this.#load(readAgain, onRead).then(
      (settings) => ({ settings, error: null }),
      (error: unknown) => ({ settings: null, error }),
    );
    return { ...result, contents: await contentsOf(paths) };
  }

  /** The edit removes something or is invalid: perhaps the end of a file has not been written yet. */
  #loses({ settings, contents }: Reading): boolean {
    if (settings === null || lacks(this.#instance.settings.config, settings.config)) return true;
    return [...this.#contents].some(([path, before]) => (contents.get(path)?.length ?? 0) < before.length);
  }

  async #use(settings: Settings): Promise<void> {
    const { config, afterRestart } = keepFixed(this.#instance.settings.config, settings.config);
    await this.#instance.use({ ...settings, config });
    this.#watched = settings.watched;
    this.#refused = null;
    this.#alsoWatched = [];
    this.#report({ kind: 'config_read', waitingFor: this.#instance.edit?.waitingFor ?? [], afterRestart });
  }

  #refuse(error: unknown, read: readonly string[]): void {
    const reason = describe(error);
    // The same fault is found again at each change of a file: it is reported once.
    if (this.#refused?.reason !== reason) this.#report({ kind: 'config_refused', reason, error });
    this.#refused = { reason, since: this.#refused?.since ?? now() };
    this.#alsoWatched = read;
  }
}

/** By path. Of a folder the names in it; '' for a missing file. */
async function contentsOf(paths: Iterable<string>): Promise<Contents> {
  const read = async (path: string): Promise<string> => {
    const text = await readAgain(path)
      .then((bytes) => bytes.toString('latin1'))
      .catch(() => readdir(path))
      .catch(() => '');
    return typeof text === 'string' ? text : text.sort().join('\n');
  };
  return new Map(await Promise.all([...paths].map(async (path) => [path, await read(path)] as const)));
}

/** Whether `before` has a key or an entry, at any depth, that `after` does not have. */
function lacks(before: unknown, after: unknown): boolean {
  if (before instanceof Map)
    return (
      !(after instanceof Map) || [...before].some(([key, value]) => !after.has(key) || lacks(value, after.get(key)))
    );
  if (typeof before !== 'object' || before === null) return before !== undefined && after === undefined;
  if (typeof after !== 'object' || after === null) return true;
  return Object.entries(before).some(([key, value]) => lacks(value, Reflect.get(after, key)));
}
