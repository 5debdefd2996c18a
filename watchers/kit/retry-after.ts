/** The header Retry-After, by which an overloaded server delays the next request. */

import { longestRetryAfterMs } from '../../src/lib/time/retry.ts';
import type { Ms } from '../../src/model.ts';

/** Its value, seconds or an HTTP date, in milliseconds from `now`; 0 where it is missing or neither; bounded. */
export function retryAfterMs(value: string | undefined, now: number): Ms {
  if (value === undefined) return 0;
  const askedMs = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(askedMs) ? 0 : Math.min(Math.max(0, askedMs), longestRetryAfterMs);
}
