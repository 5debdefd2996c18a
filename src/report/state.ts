/** The state of a running Myelin, and why it is not ready. Pure; docs/reference/http.md explains each state. */
import type { ServiceReport } from '../catalog/report.ts';
import type { Service } from '../config/schema.ts';

/** Each reason for a state, the most important first. */
export const stateReasons = {
  nothing_applied: 'no config is applied yet',
  haproxy_unresponsive: 'HAProxy does not answer',
  master_unresponsive: 'HAProxy’s master does not answer, nothing can be reloaded',
  waiting_for_sources: 'required sources have not answered yet',
  source_down: 'a source is down',
  service_stale: 'the endpoints of a service may be out of date',
  update_failed: 'the last update failed',
  service_quarantined: 'a service is quarantined',
  service_down: 'HAProxy has no server up for a service',
  service_empty: 'a service has no endpoint that may serve',
  endpoints_kept: 'endpoints are retained that their source does not name any more',
  endpoints_refused: 'endpoints are refused',
  certificate_left_out: 'a certificate is not served as it stands in its file',
  ca_file_left_out: 'a CA file is not used as it stands',
  config_refused: 'a new config is refused',
  file_behind: 'the config file is behind what runs',
  drift: 'servers are not what they should be',
  output_failed: 'an output failed',
} as const;

export type StateReason = keyof typeof stateReasons;
export const stateReasonNames = Object.keys(stateReasons) as readonly StateReason[];

/**
 * starting: no good config is applied yet, or no endpoints are known; ready; degraded: a good config is applied, but
 * something is wrong; unresponsive: HAProxy hangs.
 */
export const states = ['starting', 'ready', 'degraded', 'unresponsive'] as const;
export type State = (typeof states)[number];

/** `holds`: for each reason, whether it applies. */
export function stateOf(holds: Readonly<Record<StateReason, boolean>>): {
  readonly state: State;
  readonly stateReasons: readonly StateReason[];
} {
  const reasons = stateReasonNames.filter((reason) => holds[reason]);
  return { state: stateBecauseOf(reasons), stateReasons: reasons };
}

function stateBecauseOf(reasons: readonly StateReason[]): State {
  // A Myelin without endpoints must not replace one that has some, as in a rolling update.
  if (reasons.includes('nothing_applied')) return 'starting';
  if (reasons.includes('haproxy_unresponsive')) return 'unresponsive';
  return reasons.length > 0 ? 'degraded' : 'ready';
}

type Counted = Pick<ServiceReport, 'endpoints' | 'unanswered'>;

/** Nobody serves it. */
export function isEmpty({ endpoints: { ready, draining, kept } }: Pick<Counted, 'endpoints'>): boolean {
  return ready + draining + kept === 0;
}

/** With `accept`, a service that was scaled to nothing is as it should be; one whose endpoints are all unfit is not. */
export function lacksEndpoints(service: Counted, onEmpty: Service['onEmpty'] | undefined): boolean {
  if (!isEmpty(service) || service.unanswered.length > 0) return false;
  return onEmpty !== 'accept' || service.endpoints.unfit > 0;
}
