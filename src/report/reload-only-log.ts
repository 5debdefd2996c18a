/** Tells of services whose servers commands cannot change as they should, before the first change shows it; of each once. */

import type { Section } from '../model.ts';
import { reloadOnly } from '../plan/backends.ts';
import type { Log } from './log.ts';

export class ReloadOnlyLog {
  readonly #log: Log;
  #before: ReadonlyMap<string, string> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /** `sections`: what runs since the last reload. */
  note(sections: readonly Section[]): void {
    const now = reloadOnly(sections);
    for (const [service, what] of now)
      if (this.#before.get(service) !== what)
        this.#log.warn(
          { service, what },
          'a new server of this service is a reload each, because of what its backend has',
        );
    this.#before = now;
  }
}
