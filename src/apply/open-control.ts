/** Chooses the driver that the config asks for. */
import { openCommandControl } from './command-control.ts';
import type { Control, ControlOptions } from './control.ts';
import { openMasterControl } from './master-control.ts';
import { openProcessControl } from './process-control.ts';

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
