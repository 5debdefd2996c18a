/** Our Helm chart as tests see it: rendered by the real Helm, and read as the objects that a cluster gets. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Finished } from '../../../src/lib/command.ts';
import { helm } from '../../servers/helm.ts';
import { tempFolder } from '../index.ts';

export const chart = fileURLToPath(new URL('../../../deploy/helm/myelin', import.meta.url));
export const shapes = ['daemonset', 'sidecar', 'deployment'] as const;
export type Shape = (typeof shapes)[number];

export type Values = Readonly<Record<string, unknown>>;

const kubernetesObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
export type KubernetesObject = z.output<typeof kubernetesObject>;

/** Over those of the shape `daemonset`: ports of the node that one pod hands to the next. */
export const handover = { enabled: true };
export const handingOver: Values = { handover, ports: [{ name: 'http', port: 8080, servicePort: 80 }] };

/** The values that the chart shows for a shape. */
export const exampleValues = (shape: Shape): string => join(chart, `ci/${shape}-values.yaml`);

/** `helm COMMAND`, or the notes of an installation, with the release `myelin` in the namespace `edge`; later values go over earlier ones. */
export async function runHelm(
  command: 'template' | 'lint' | 'notes',
  ...values: readonly (Values | string)[]
): Promise<Finished> {
  await using folder = await tempFolder();
  const files: string[] = [];
  for (const [index, each] of values.entries()) {
    const path = typeof each === 'string' ? each : join(folder.path, `${index}.json`);
    if (typeof each !== 'string') await writeFile(path, JSON.stringify(each));
    files.push('--values', path);
  }
  const commands = {
    template: ['template', 'myelin', chart],
    lint: ['lint', '--strict', chart],
    notes: ['install', 'myelin', chart, '--dry-run=client'],
  };
  return await helm(...commands[command], '--namespace', 'edge', ...files);
}

/** The text of all objects. Throws what Helm says where it fails. */
async function templated(...values: readonly (Values | string)[]): Promise<string> {
  const { status, stdout, stderr } = await runHelm('template', ...values);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export async function objects(...values: readonly (Values | string)[]): Promise<readonly KubernetesObject[]> {
  return objectsIn(await templated(...values));
}

/** Of the example of the shape, with these values over it. */
export function shaped(shape: Shape, values: Values = {}): Promise<readonly KubernetesObject[]> {
  return objects(exampleValues(shape), values);
}

export function objectsIn(text: string): readonly KubernetesObject[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw new Error(`${document.errors}\n${text}`);
    return kubernetesObject.parse(document.toJS());
  });
}

const plurals: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies' };

/** Where the API has the objects of its kind, in its namespace. */
export function pathIn({ apiVersion, kind, metadata: { namespace } }: KubernetesObject): string {
  const group = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const place = namespace === undefined ? group : `${group}/namespaces/${namespace}`;
  return `${place}/${plurals[kind] ?? `${kind.toLowerCase()}s`}`;
}

/** The only object of this kind. */
export function only(all: readonly KubernetesObject[], kind: string): KubernetesObject {
  const [found, ...others] = all.filter((each) => each.kind === kind);
  if (found === undefined || others.length > 0)
    throw new Error(`not one ${kind} but ${others.length + Number(!!found)}`);
  return found;
}

/** What is at this place in a tree; undefined where nothing is. */
export function dig(tree: unknown, ...path: readonly (string | number)[]): unknown {
  let value = tree;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

const container = z.looseObject({
  name: z.string(),
  volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
});

/** Every container of the pods, in the order in which they start. */
export function containersOf(workload: KubernetesObject): readonly z.output<typeof container>[] {
  const lists = ['initContainers', 'containers'].map((list) => dig(workload, 'spec', 'template', 'spec', list) ?? []);
  return z.array(container).parse(lists.flat());
}

/** The Deployment or DaemonSet. */
export function workloadIn(all: readonly KubernetesObject[]): KubernetesObject {
  return only(all, all.some(({ kind }) => kind === 'DaemonSet') ? 'DaemonSet' : 'Deployment');
}

/** The `myelin.yaml` that pods find. */
export function configIn(all: readonly KubernetesObject[]): string {
  const config = all.find((each) => each.kind === 'ConfigMap' && dig(each, 'data', 'myelin.yaml') !== undefined);
  return z.string().parse(dig(config, 'data', 'myelin.yaml'));
}
