/** Chooses the driver that the config asks for. */

import type { Driver, DriverOptions } from './driver.ts';
import { openExternalDriver } from './external/external-driver.ts';
import { openMasterDriver } from './master/master-driver.ts';
import { openProcessDriver } from './process/process-driver.ts';

/** Takes the lock of the state folder and recognises what runs. `signal` ends the watching; disposing frees the lock. */
export function openDriver(options: DriverOptions, signal: AbortSignal): Promise<Driver> {
  switch (options.config.haproxy.control) {
    case 'process':
      return openProcessDriver(options, signal);
    case 'master':
      return openMasterDriver(options, signal);
    case 'command':
    case 'none':
      return openExternalDriver(options, signal);
  }
}
