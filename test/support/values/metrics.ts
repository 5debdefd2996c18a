/** Metrics of a Myelin with this status. */
import { createMetrics, type Metrics } from '../../../src/report/metrics.ts';
import type { Status } from '../../../src/report/status.ts';
import { sampleStatus } from './status.ts';

export function metricsOf(status: () => Status = () => sampleStatus): Metrics {
  return createMetrics({ version: '1.2.3', status, history: () => ({ isCurrent: true, size: 7 }) });
}
