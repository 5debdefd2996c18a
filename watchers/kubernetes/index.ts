/** Services of a Kubernetes cluster. */

import { defineSource } from '../kit/source.ts';
import { keyOfName } from './discovered.ts';
import {
  checkKubernetes,
  discoveriesOf,
  kubernetesDiscovery,
  kubernetesQuery,
  kubernetesSettings,
} from './settings.ts';

const example = `watchers:
  # Where endpoints come from: the cluster of the kubeconfig, or the one that Myelin runs in as a pod. The rights that it
  # needs there are in docs/watchers/kubernetes.md.
  kubernetes:
    #kubeconfig: /etc/myelin/kubeconfig
    #context: main
    # The namespace of Services whose query names none.
    #namespace: shop
    # Where this HAProxy is, as a pod's environment may tell: endpoints near it are preferred, as kube-proxy does.
    #zone: eu-central-1a
    #node: node-1
    # Whether HAProxy waits for this source before it starts.
    #required: true
`;

const discover = `# Services that carry this label are served without being listed, as their annotations myelin.dev/* choose.
#discover:
#  kubernetes: { labels: { expose: "true" }, bindAddress: 127.0.0.1, ports: "10000-19999" }

`;

export const kubernetes = defineSource({
  type: 'kubernetes',
  settings: kubernetesSettings,
  query: kubernetesQuery,
  discovery: { keys: kubernetesDiscovery, queries: discoveriesOf, keyOf: keyOfName },
  example: { watcher: example, query: '{ service: web, namespace: shop, port: http }', discover },
  check: checkKubernetes,
  async explain(settings, query, context) {
    const { explainKubernetes } = await import('./explain.ts');
    return explainKubernetes(settings, query, context);
  },
  async open(settings, { env, onSecret }) {
    const { watchKubernetes } = await import('./watch.ts');
    return watchKubernetes(settings, env, onSecret);
  },
});
