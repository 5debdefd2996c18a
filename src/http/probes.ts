/** What orchestrators ask: whether Myelin is alive, and whether a good config is applied. */
import type { Moment, Ms } from '../model.ts';
import { type Metrics, metricsContentType } from '../report/metrics.ts';
import type { Status } from '../report/status.ts';
import { recent } from './recent.ts';
import { type Route, text } from './server.ts';

export type ProbeSources = {
  /** Of which only states and the names of services and sources are told: secrets need not be masked. */
  readonly plainStatus: () => Status;
  readonly heartbeat: Heartbeat;
  readonly metrics: Metrics;
};

export function probeRoutes({ plainStatus, heartbeat, metrics }: ProbeSources): readonly Route[] {
  // Anybody may ask for these, as often as they like, and with thousands of services they cost.
  const readiness = recent(() => readyz(plainStatus()));
  const page = recent(() => metrics.text());
  return [
    { method: 'GET', path: '/healthz', answer: () => healthz(heartbeat) },
    { method: 'GET', path: '/readyz', answer: readiness },
    {
      method: 'GET',
      path: '/metrics',
      answer: async () => ({ status: 200, body: await page(), contentType: metricsContentType }),
    },
  ];
}

/**
 * Alive unless one reconcile has been going on for longer than `limitMs`. That the event loop turns is shown by the
 * answer itself; that there is nothing to do is no failure.
 */
export class Heartbeat {
  readonly #limitMs: Ms;
  readonly #now: () => Moment;
  #busySince: Moment | null = null;

  constructor(limitMs: Ms, now: () => Moment) {
    this.#limitMs = limitMs;
    this.#now = now;
  }

  /** For one piece of work at a time. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#busySince = this.#now();
    try {
      return await work();
    } finally {
      this.#busySince = null;
    }
  }

  /** How long the work at hand has been going on, where that is too long; else null. */
  get stuckForMs(): Ms | null {
    const busyMs = this.#busySince === null ? 0 : this.#now() - this.#busySince;
    return busyMs > this.#limitMs ? busyMs : null;
  }
}

function healthz({ stuckForMs }: Heartbeat): ReturnType<typeof text> {
  if (stuckForMs === null) return text(200, 'alive');
  return text(503, `stuck: one reconcile has been going on for ${Math.round(stuckForMs / 1000)} s`);
}

/**
 * Degraded still serves: taking it out of service would help nobody. What is wrong in HAProxy's own words, with its
 * addresses and processes, is told to those who may ask for the status.
 */
function readyz({ state, waitingFor, lastApply, pending }: Status): ReturnType<typeof text> {
  if (state === 'ready' || state === 'degraded') return text(200, state);
  if (state === 'unresponsive') return text(503, 'not ready: HAProxy does not answer');
  const reasons = [
    ...(waitingFor.length > 0 ? [`waiting for the first answer of ${waitingFor.join(', ')}`] : []),
    ...(lastApply === null || lastApply.error === null ? [] : ['the last apply failed (`myelin status` says why)']),
    ...(pending === null ? [] : ['a change waits (`myelin status` says what for)']),
  ];
  return text(503, `not ready: ${reasons.length > 0 ? reasons.join('; ') : 'no config is applied yet'}`);
}
