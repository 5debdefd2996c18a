/** One clock for all processes of a benchmark. */
import type { Ms } from '../src/model.ts';

export function now(): Ms {
  return Number(process.hrtime.bigint()) / 1e6;
}
