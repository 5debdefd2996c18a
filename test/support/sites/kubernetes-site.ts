/**
 * A Service of a real cluster, programs that answer in the place of its pods, and a Myelin that follows it with its
 * documented rights. For tests in a network of their own.
 */

import type { Cluster } from '../../servers/kubernetes.ts';
import { type Pods, podPort } from '../../servers/pods.ts';
import { isApplied } from '../applied.ts';
import { freePort, until } from '../index.ts';
import { kubeconfigText } from '../kubernetes/kubeconfig.ts';
import { deletePod, putPod, putService, replaceFile } from '../kubernetes/services.ts';
import { type MyelinProcess, type Workplace, workplace } from './myelin.ts';

export type KubernetesSiteOptions = {
  /** Where Myelin asks. Default: the API server itself. */
  readonly server?: string;
  /** Of the watcher, below the Service of the config, and at the top level: YAML. */
  readonly watcher?: string;
  readonly web?: string;
  readonly rest?: readonly string[];
};

export class KubernetesSite implements AsyncDisposable {
  readonly place: Workplace;
  /** Where the Service is served. */
  readonly port: number;
  readonly service: string;
  readonly cluster: Cluster;
  readonly #pods: Pods;

  constructor(
    { place, port, service, cluster }: Pick<KubernetesSite, 'place' | 'port' | 'service' | 'cluster'>,
    pods: Pods,
  ) {
    this.place = place;
    this.port = port;
    this.service = service;
    this.cluster = cluster;
    this.#pods = pods;
  }

  /** The Service as it is made; made again it has this port of its pods. */
  async putService(targetPort: number = podPort): Promise<void> {
    const { service } = this;
    await putService(this.cluster, namespace, service, {
      selector: { app: service },
      ports: [{ port: 80, targetPort }],
    });
  }

  /** Pods that run, as far as anybody is told: ready, unless said otherwise. */
  async run(names: readonly string[], ready = true): Promise<void> {
    await inTens(names, async (name) => {
      await this.#pods.listen(name, true);
      await putPod(this.cluster, namespace, this.#podName(name), {
        labels: { app: this.service },
        addresses: [this.#pods.addressOf(name)],
        ready,
      });
    });
  }

  /** They are told to go, and answer until they `end`. */
  async tellToGo(names: readonly string[]): Promise<void> {
    await inTens(names, (name) => deletePod(this.cluster, namespace, this.#podName(name), true));
  }

  /** They take no more connections, and are gone. */
  async end(names: readonly string[]): Promise<void> {
    await inTens(names, async (name) => {
      await this.#pods.listen(name, false);
      await deletePod(this.cluster, namespace, this.#podName(name));
    });
  }

  /** A token in the place of the one that Myelin has. */
  async replaceToken(token: string): Promise<void> {
    await replaceFile(this.place.path('token'), token);
  }

  async start(): Promise<MyelinProcess> {
    const myelin = this.place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons), 30_000);
    return myelin;
  }

  /** What a reload would change: which HAProxy serves, and how many reloads were counted. */
  async reloads(): Promise<string> {
    const { haproxy } = await this.place.status();
    const metrics = await this.place.metrics();
    const counted = metrics.split('\n').filter((line) => line.startsWith('myelin_reloads_total{'));
    return [`HAProxy ${haproxy?.pid}`, ...counted].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.place[Symbol.asyncDispose]();
  }

  /** One cluster serves all tests. */
  #podName(name: string): string {
    return `${this.service}-${name}`;
  }
}

export const namespace = 'shop';

/** Myelin is not started, and there are no pods yet. */
export async function kubernetesSite(
  cluster: Cluster,
  pods: Pods,
  service: string,
  { server = cluster.address, watcher = '', web = '', rest = [] }: KubernetesSiteOptions = {},
): Promise<KubernetesSite> {
  const port = await freePort();
  const config = [
    `watchers: { kubernetes: { kubeconfig: ./kubeconfig${watcher === '' ? '' : `, ${watcher}`} } }`,
    'services:',
    `  web: { from: { kubernetes: { service: ${service} } }, bind: "127.0.0.1:${port}"${web === '' ? '' : `, ${web}`} }`,
    'haproxy: { log: none }',
    'reload: { minInterval: 0ms }',
    'probes: { listen: "off" }',
    ...rest,
    '',
  ];
  const place = await workplace(config.join('\n'));
  const { caFile } = cluster;
  await place.write('kubeconfig', kubeconfigText(server, { tokenFile: './token' }, { caFile, namespace }));
  const site = new KubernetesSite({ place, port, service, cluster }, pods);
  await site.replaceToken(await cluster.token(namespace));
  await site.putService();
  // The pods' controller writes an empty slice at once; without it there would be nothing to be told of.
  await until('the Service has a slice', async () => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    const found = (await cluster.api('GET', `${path}?labelSelector=kubernetes.io/service-name=${service}`)) as {
      items: readonly unknown[];
    };
    return found.items.length > 0;
  });
  return site;
}

/** They wait for the server, not for the test. */
async function inTens(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < names.length; at += 10) await Promise.all(names.slice(at, at + 10).map(work));
}
