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
  /** The number of HAProxy processes so far. */
  readonly generation: () => Promise<number>;
  /** Settles when no HAProxy process knows the former backends any more. */
  readonly forgotten: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
};

export type Arrival = {
  /** What its host was answered before. */
  readonly before: number;
  /** From its registration to its first 200. */
  readonly firstAnswerMs: Ms;
  readonly hasReloaded: boolean;
};

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
    const { source, port, generation, forgotten, signal } = this.#place;
    if (this.#backend !== null) {
      await source.offer(null);
      await forgotten(signal);
      await this.stop();
      return `service ${name} and its route went`;
    }
    const generationBefore = await generation();
    const before = await this.#status();
    this.#backend = await startBackend(name, port);
    const startedAt = performance.now();
    await source.offer({ name, port, routes: newcomerHost });
    await this.#serves();
    const firstAnswerMs = performance.now() - startedAt;
    this.#arrivals.push({ before, firstAnswerMs, hasReloaded: (await generation()) > generationBefore });
    return `service ${name} came with its route: 200 after ${firstAnswerMs.toFixed(0)} ms`;
  }

  async stop(): Promise<void> {
    await this.#backend?.stop();
    this.#backend = null;
  }

  async #serves(): Promise<void> {
    for (const deadline = now() + 30_000; now() < deadline; ) {
      if ((await this.#status()) === 200) return;
      await timers.setTimeout(2, undefined, { signal: this.#place.signal });
    }
    throw new AppError('MYELIN_HAPROXY_FAILED', `the route ${newcomerHost} of the demo did not serve within 30 s`);
  }

  #status(): Promise<number> {
    const { frontendPort: port, signal } = this.#place;
    return new Promise((resolve, reject) => {
      const request = get(
        { host: '127.0.0.1', port, headers: { host: newcomerHost }, agent: false, signal },
        (response) => {
          response.resume();
          response.once('end', () => resolve(response.statusCode ?? 0));
          response.once('error', reject);
        },
      );
      request.once('error', reject);
    });
  }
}
