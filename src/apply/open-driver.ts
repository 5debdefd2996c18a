/** Chooses the driver that the config asks for: one line each. */
import type { DriverFactory, DriverOptions, ManagedDriver } from './driver.ts';
import { openExternalDriver } from './external/external-driver.ts';
import { manage } from './managed-driver.ts';
import { openMasterDriver } from './master/master-driver.ts';
import { openProcessDriver } from './process/process-driver.ts';

const factories: Readonly<Record<DriverOptions['config']['haproxy']['control'], DriverFactory>> = {
  process: openProcessDriver,
  master: openMasterDriver,
  command: openExternalDriver,
  none: openExternalDriver,
};

/** Takes the lock of the state folder and recognises what runs. `signal` ends the polling; disposing frees the lock. */
export function openDriver(options: DriverOptions, signal: AbortSignal): Promise<ManagedDriver> {
  return manage(factories[options.config.haproxy.control], options, signal);
}
