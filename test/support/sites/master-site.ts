/** A Myelin beside a HAProxy that others start: they have the folder `shared` in common, and nothing else. */
import { haproxy } from '../../servers/haproxy.ts';
import { type Master, startMaster } from '../haproxy/master.ts';
import { until } from '../index.ts';
import type { Workplace } from './myelin.ts';
import type { SiteConfig } from './site.ts';

/** What `myelin.yaml` says of it, below `haproxy` and beside it. */
export const besideMaster = {
  haproxy: [
    'control: master',
    'masterSocket: shared/master.sock',
    'config: shared/haproxy.cfg',
    'statsSocket: shared/admin.sock',
  ],
  rest: ['state: own/state', 'startTimeout: 5s'],
} as const satisfies SiteConfig;

/** Starts that HAProxy with the file that is there. */
export async function startMasterOf(place: Workplace): Promise<Master> {
  return startMaster(await haproxy(), place.path('shared'), place.path('shared/haproxy.cfg'));
}

/** HAProxy tells its time of start in whole seconds, and Myelin takes it as it is where it is later than the file. */
export async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000);
  await until('the next second', () => Math.floor(Date.now() / 1000) > second);
}
