/** Whether everything is applied, for tests whose endpoints need not answer their health checks. */
import type { StateReason } from '../../src/report/state.ts';

/** What the sources say of services, HAProxy of their servers, and what stands in files: not what Myelin does. */
const ofServices: readonly StateReason[] = [
  'service_down',
  'service_empty',
  'endpoints_kept',
  'endpoints_refused',
  'certificate_left_out',
  'ca_file_left_out',
];

export function isApplied(stateReasons: readonly StateReason[]): boolean {
  return stateReasons.every((reason) => ofServices.includes(reason));
}
