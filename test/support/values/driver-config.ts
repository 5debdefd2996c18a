/** What a config of a driver says where a test says nothing. */
import type { Config } from '../../../src/config/schema.ts';

export const haproxyDefaults: Config['haproxy'] = {
  control: 'process',
  binary: 'haproxy',
  config: '',
  statsSocket: '',
  passEnv: [],
  onExit: 'keep',
  onHang: 'report',
  keepFiles: true,
  stopGrace: 30_000,
  log: 'none',
  logFacility: 'local0',
  global: [],
  defaults: [],
  sections: [],
};

export const reloadDefaults: Config['reload'] = {
  minInterval: 0,
  jitter: 0,
  maxOldWorkers: 4,
  offerInterval: 0,
  maxDelay: 30_000,
  hardStopAfter: 600_000,
  startTimeout: 10_000,
};
