/** Gathers what is known of one service, for `myelin status SERVICE`. */
import { routesOf } from '../config/routes.ts';
import { waysTo } from './answer-why.ts';
import { concerns } from './history/concerns.ts';
import type { History } from './history/history.ts';
import { serversOf } from './servers.ts';
import { type ServiceReport, serviceReport } from './service-report.ts';
import type { Status } from './status.ts';

type Parts = Parameters<typeof serversOf>[0] & {
  readonly status: Status;
  readonly history: Pick<History, 'loaded' | 'list'>;
};

/** null: there is no such service. */
export async function answerService(parts: Parts, name: string): Promise<ServiceReport | null> {
  const { instance, status, history } = parts;
  await history.loaded;
  const hosts = [...routesOf(instance.collection.config).routes].flatMap(([frontend, held]) =>
    held.filter(({ service }) => service === name).map(({ route }) => ({ frontend, host: hostOf(route.key) })),
  );
  const its = history.list(0).filter((event) => concerns(event, name));
  return serviceReport({
    name,
    status,
    servers: serversOf(parts, name),
    ways: waysTo(parts, name),
    hosts,
    history: its,
  });
}

/** Of the key `HOST/PATH/`; null: any host. */
function hostOf(key: string): string | null {
  const host = key.split('/')[0] ?? '';
  return host === '*' ? null : host;
}
