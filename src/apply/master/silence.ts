/** How long no worker has answered through its master: a master that re-executes itself is silent for a moment too. */
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import type { Moment, Ms } from '../../model.ts';

/** A master that re-executes itself listens again sooner than this, unless it takes long to read its config. */
const goneAfterMs: Ms = 1000;

type State =
  | { readonly kind: 'heard' }
  | { readonly kind: 'silent'; readonly since: Moment }
  /** The silence has lasted too long, and was reported. */
  | { readonly kind: 'reported'; readonly since: Moment };

export class Silence {
  #state: State = { kind: 'heard' };

  heard(): void {
    this.#state = { kind: 'heard' };
  }

  /** Since when the silence has lasted, if it was reported; null: it was not. */
  get reportedSince(): Moment | null {
    return this.#state.kind === 'reported' ? this.#state.since : null;
  }

  /**
   * What the silence means: no worker serves, or, where that is not known, trouble to report once: a master that
   * leaves may cut an answer short before it stops listening. `error` is null where the master answers, and has no
   * worker that serves.
   */
  noted(now: Moment, error: unknown): 'nothing' | 'gone' | 'trouble' {
    const state = this.#state.kind === 'heard' ? ({ kind: 'silent', since: now } as const) : this.#state;
    this.#state = state;
    if (now - state.since < goneAfterMs) return 'nothing';
    if (error === null || nobodyListens(error)) return 'gone';
    this.#state = { kind: 'reported', since: state.since };
    return state.kind === 'reported' ? 'nothing' : 'trouble';
  }
}
