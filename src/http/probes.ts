/** The probes for orchestrators: whether Myelin is alive, and whether it has applied a good config; and the metrics. */
import type { Moment, Ms } from '../model.ts';
import { type Metrics, metricsContentType } from '../report/metrics.ts';
import type { Status } from '../report/status.ts';
import { recent } from './recent.ts';
import { type Route, text } from './server.ts';

export type ProbeSources = {
  /** Not masked: the probes show only states and the names of services and sources. */
  readonly plainStatus: () => Status;
  readonly heartbeat: Heartbeat;
  readonly metrics: Metrics;
};

export function probeRoutes({ plainStatus, heartbeat, metrics }: ProbeSources): readonly Route[] {
  // Cached, because anybody may send these requests at any rate, and with thousands of services each is expensive.
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
 * Shows whether a reconcile hangs: Myelin is alive unless one reconcile takes longer than `limitMs`. An idle Myelin is
 * alive, and the response itself shows that the event loop runs.
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

  /** How long the current work has taken, where that is too long; else null. */
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
 * Degraded counts as ready: to take Myelin out of service would help nobody. Only clients that may read the status get
 * HAProxy's own error texts, with its addresses and processes.
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
