/** `debounce` and `reload`: how long changes wait, and how many old processes there may be. */
import { z } from 'zod';
import { duration, someTime } from '../../../watchers/kit/values.ts';

export const debounce = z
  .strictObject({
    quiet: duration.prefault('20ms').describe('Further changes wait until none came for this long.'),
    max: duration.prefault('200ms').describe('But never longer than this.'),
  })
  .prefault({})
  .describe('The first change is applied at once; those that follow are gathered.');

export const reload = z
  .strictObject({
    minInterval: duration.prefault('2s').describe('Between two reloads at least.'),
    jitter: duration
      .prefault('0s')
      .describe('Up to this much longer, at random, so that a fleet does not reload at once.'),
    maxOldWorkers: z
      .number()
      .int()
      .min(1)
      .default(4)
      .describe(
        'Old processes that may still finish their connections. One more for the moment of a reload: the oldest is retired once the new one has proved itself.',
      ),
    maxDelay: duration.prefault('30s').describe('A reload waits this long for that; then the oldest one is retired.'),
    offerInterval: duration
      .prefault('10m')
      .describe(
        'The oldest one is retired for what the discovered services of one namespace ask for only so often. 0s: as for anything else.',
      ),
    hardStopAfter: someTime.prefault('10m').describe('An old process closes what is left after this time.'),
    startTimeout: someTime
      .prefault('30s')
      .describe('How long a new process may take to prove itself. control: master waits a minute at least.'),
  })
  .prefault({})
  .describe('Limits on reloads and on the old processes that they leave behind.');
