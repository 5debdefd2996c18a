/** The settings of a Kubernetes watcher, and of a query to it. */
import { z } from 'zod';
import type { CheckContext, CommonSettings } from '../kit/source.ts';
import { filePath, label, oneOrMany, portOrName, someTime, text, word } from '../kit/values.ts';

export const kubernetesSettings = z
  .strictObject({
    kubeconfig: filePath
      .optional()
      .describe('Default: KUBECONFIG, else ~/.kube/config, else the service account of the pod that Myelin runs in.'),
    context: text.optional().describe('Context of the kubeconfig. Default: its current one.'),
    namespace: label
      .optional()
      .describe('Namespace of services whose query names none. Default: the context’s or the pod’s, else `default`.'),
    namespaces: oneOrMany(label)
      .optional()
      .describe(
        'Namespaces that queries may name besides `namespace`; each is watched on its own, so a Role in each is enough. ' +
          '`all` watches the whole cluster at once and needs a ClusterRole. Default: those that queries name.',
      ),
    labelSelector: text
      .optional()
      .describe('Only Services, and EndpointSlices, with these labels, such as `app=shop,tier!=test`.'),
    fieldSelector: text.optional().describe('Only Services with these fields, such as `spec.type!=LoadBalancer`.'),
    zone: word.optional().describe('The zone that this HAProxy is in, such as `${ZONE}`.'),
    zonePolicy: z
      .enum(['hints', 'prefer', 'only', 'ignore'])
      .default('hints')
      .describe(
        'hints: endpoints that the cluster meant for this zone, as kube-proxy chooses them; prefer: those of this zone ' +
          'while one is ready; only: no others ever; ignore: all. All but ignore need `zone`, hints does nothing without.',
      ),
    node: word
      .optional()
      .describe('The node that this HAProxy is on, such as `${NODE_NAME}`, for `internalTrafficPolicy: Local`.'),
    family: z
      .enum(['prefer4', 'prefer6', 'both'])
      .default('prefer4')
      .describe('Of pods that have both, the IPv4 address, the IPv6 address, or both as two servers.'),
    externalName: z
      .enum(['refuse', 'resolve'])
      .default('refuse')
      .describe(
        'Services of type ExternalName, with which everybody who may write Services can name any host: refused or resolved.',
      ),
    idleTimeout: someTime
      .prefault('90s')
      .describe(
        'A watch that is silent for this long is opened again. Where anything happens in the cluster the server sends something once a minute.',
      ),
  })
  .describe('Services of a Kubernetes cluster.');

export const kubernetesQuery = z
  .strictObject({
    service: label.optional().describe('Name of the Service. Default: the name of the service here.'),
    namespace: label.optional().describe('Its namespace. Default: the watcher’s.'),
    port: portOrName
      .optional()
      .describe('Name or number of its port, or of its `targetPort`. Default: its only TCP port.'),
  })
  .describe('One Service of a Kubernetes watcher.');

const labelName = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
    'expected the name of a label, such as expose or example.com/expose',
  );

const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/, 'expected the value of a label: letters, digits, - _ .');

/** Which Services are found that nobody listed. */
export const kubernetesDiscovery = z.strictObject({
  labels: z
    .record(labelName, labelValue)
    .refine((labels) => Object.keys(labels).length > 0, 'names no label, which would be every Service: give one')
    .describe('Services with all of these labels are served.'),
});

export type KubernetesSettings = z.output<typeof kubernetesSettings> & CommonSettings;
export type KubernetesQuery = z.output<typeof kubernetesQuery>;

/** A query for all Services with these labels. */
export type KubernetesDiscovery = {
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: the watcher's own, or all where it watches all. */
  readonly namespace: string | undefined;
};

/** A query for each namespace, because each of them may fail alone. */
export function discoveriesOf(
  { namespace, namespaces = [] }: KubernetesSettings,
  { labels }: z.output<typeof kubernetesDiscovery>,
): readonly { readonly key: string; readonly query: KubernetesDiscovery }[] {
  const named = [...new Set([...(namespace === undefined ? [] : [namespace]), ...namespaces])];
  const asked = namespaces.includes('all') || named.length === 0 ? [undefined] : named;
  return asked.map((one) => ({ key: one ?? '', query: { labels, namespace: one } }));
}

/** Checks that concern several keys. */
export function checkKubernetes({ zone, zonePolicy }: KubernetesSettings, { report }: CheckContext): void {
  if (zone === undefined && needsZone.has(zonePolicy))
    report(['zonePolicy'], `${zonePolicy} needs to know where this HAProxy is: give zone as well`);
}

/** `hints` does without: it then uses all endpoints, as kube-proxy does. */
const needsZone: ReadonlySet<string> = new Set(['prefer', 'only']);
