/** Chooses the driver that the config asks for. */

import type { Control, ControlOptions } from './driver.ts';
import { openCommandControl } from './external/external-driver.ts';
import { openMasterControl } from './master/master-driver.ts';
import { openProcessControl } from './process/process-driver.ts';

/** Takes the lock of the state folder and recognises what runs. `signal` ends the watching; disposing frees the lock. */
export function openControl(options: ControlOptions, signal: AbortSignal): Promise<Control> {
  switch (options.config.haproxy.control) {
    case 'process':
      return openProcessControl(options, signal);
    case 'master':
      return openMasterControl(options, signal);
    case 'command':
    case 'none':
      return openCommandControl(options, signal);
  }
}
