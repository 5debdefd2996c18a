/** A service that nobody listed: it comes with its route while the demo runs, and goes. How long it takes until it serves is measured. */
import { get } from 'node:http';
import timers from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { now } from '../lib/time/clock.ts';
import type { Ms } from '../model.ts';
import { type Backend, startBackend } from './backends.ts';
import type { Source } from './source.ts';

/** The host of its route: on this machine names below localhost are loopback addresses. */
export const newcomerHost = 'blog.localhost';
const name = 'blog';

type Place = {
  readonly source: Source;
  /** The port of its own server. */
  readonly port: number;
  /** The port of the shared frontend. */
  readonly frontendPort: number;
  /** Settles when no HAProxy process knows the former backends any more. */
  readonly forgotten: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
};

/** A line of the shared frontend: each answer says which process gave it. */
export const tellsProcess = 'http-after-response set-header x-haproxy-pid %pid';

export type Arrival = {
  /** What its host was answered before. */
  readonly before: number;
  /** From its registration to its first 200. */
  readonly firstAnswerMs: Ms;
  /** Another HAProxy process gave it than the one before. */
  readonly hasReloaded: boolean;
};

type Answer = { readonly status: number; readonly process: string };

export class Newcomer {
  readonly #place: Place;
  readonly #arrivals: Arrival[] = [];
  #backend: Backend | null = null;

  constructor(place: Place) {
    this.#place = place;
  }

  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** It comes, or goes; returns what happened. */
  async toggle(): Promise<string> {
    const { source, port, forgotten, signal } = this.#place;
    if (this.#backend !== null) {
      await source.offer(null);
      await forgotten(signal);
      await this.stop();
      return `service ${name} and its route went`;
    }
    const before = await this.#answer();
    this.#backend = await startBackend(name, port);
    const startedAt = performance.now();
    await source.offer({ name, port, routes: newcomerHost });
    const first = await this.#firstAnswer();
    const firstAnswerMs = performance.now() - startedAt;
    this.#arrivals.push({ before: before.status, firstAnswerMs, hasReloaded: first.process !== before.process });
    return `service ${name} came with its route: 200 after ${firstAnswerMs.toFixed(0)} ms`;
  }

  async stop(): Promise<void> {
    await this.#backend?.stop();
    this.#backend = null;
  }

  async #firstAnswer(): Promise<Answer> {
    for (const deadline = now() + 30_000; now() < deadline; ) {
      const answer = await this.#answer();
      if (answer.status === 200) return answer;
      await timers.setTimeout(2, undefined, { signal: this.#place.signal });
    }
    throw new AppError('MYELIN_HAPROXY_FAILED', `the route ${newcomerHost} of the demo did not serve within 30 s`);
  }

  #answer(): Promise<Answer> {
    const { frontendPort: port, signal } = this.#place;
    return new Promise((resolve, reject) => {
      const request = get(
        { host: '127.0.0.1', port, headers: { host: newcomerHost }, agent: false, signal },
        (response) => {
          response.resume();
          response.once('end', () =>
            resolve({ status: response.statusCode ?? 0, process: String(response.headers['x-haproxy-pid']) }),
          );
          response.once('error', reject);
        },
      );
      request.once('error', reject);
    });
  }
}
