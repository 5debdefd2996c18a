/** Queries as tests write them, and a supervised watcher that follows them with a real Consul. */
import { supervise } from '../../../src/sources/supervise.ts';
import { type ConsulQuery, consulQuery, consulSettings } from '../../../watchers/consul/settings.ts';
import { watchConsul } from '../../../watchers/consul/watch.ts';
import { type LookUp, lookUpHere } from '../../../watchers/kit/hosts.ts';
import { withCommon } from '../../../watchers/kit/source.ts';
import { type Listening, listen } from '../../../watchers/public/listen.ts';

/** The key of each is its name here, and what is asked for where it does not say so. */
export type ConsulQueries = Readonly<Record<string, Partial<ConsulQuery>>>;

export function followQueries(
  queries: ConsulQueries,
  settings: Readonly<Record<string, unknown>> = {},
  env: NodeJS.ProcessEnv = {},
  lookUp: LookUp = lookUpHere,
): Listening {
  const watch = watchConsul(withCommon(consulSettings).parse({ ...settings }), env, () => {}, lookUp);
  const asked = Object.entries(queries).map(([key, query]) => ({ key, settings: consulQuery.parse(query) }));
  return listen((signal) => supervise('consul', (stop) => watch(asked, stop), { signal }));
}
