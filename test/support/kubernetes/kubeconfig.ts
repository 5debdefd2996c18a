/** How a Myelin gets to a Kubernetes, and what it may do there. */

/** The rights that docs/watchers/kubernetes.md asks for. */
export const watcherRules = [
  { apiGroups: [''], resources: ['services'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list', 'watch'] },
];

/** A kubeconfig with one context, `main`; `credentials` are the fields of its user. */
export function kubeconfigText(
  server: string,
  credentials: Readonly<Record<string, unknown>>,
  { caFile, namespace }: { readonly caFile?: string; readonly namespace?: string } = {},
): string {
  const trust = caFile === undefined ? { 'insecure-skip-tls-verify': true } : { 'certificate-authority': caFile };
  // JSON is YAML.
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    clusters: [{ name: 'test', cluster: server.startsWith('http:') ? { server } : { server, ...trust } }],
    users: [{ name: 'tester', user: credentials }],
    contexts: [{ name: 'main', context: { cluster: 'test', user: 'tester', ...(namespace && { namespace }) } }],
  });
}
