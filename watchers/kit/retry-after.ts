/** What a server that is asked too much says about when to come back. */

import { longestRetryAfterMs } from '../../src/lib/time/retry.ts';
import type { Ms } from '../../src/model.ts';

/** The header's value in milliseconds from `now`: seconds or an HTTP date; 0 when it is missing or neither; never too long. */
export function retryAfterMs(value: string | undefined, now: number): Ms {
  if (value === undefined) return 0;
  const askedMs = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(askedMs) ? 0 : Math.min(Math.max(0, askedMs), longestRetryAfterMs);
}
