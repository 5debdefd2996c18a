/** `log`: what Myelin says of itself. HAProxy's own log is `haproxy.log`. */
import { z } from 'zod';
import { logFormats, logLevels } from '../../model.ts';

export const log = z
  .strictObject({
    level: z
      .enum(logLevels)
      .default('info')
      .describe('How much is logged. `--log-level`, or else `MYELIN_LOG_LEVEL`, goes first.'),
    format: z
      .enum(logFormats)
      .optional()
      .describe(
        'json for machines, pretty for people. `--log-format`, or else `MYELIN_LOG_FORMAT`, goes first. Default: pretty on a terminal, else json.',
      ),
  })
  .prefault({})
  .describe('Myelin’s own log, on its standard output.');
