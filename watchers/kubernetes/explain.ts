/** What the API server says of one Service and of everyone in its EndpointSlices: asked once, for people. */
import { z } from 'zod';
import { AppError } from '../../src/errors.ts';
import { wallClock } from '../../src/lib/time/clock.ts';
import type { SourceAnswer } from '../../src/model.ts';
import { openAccess } from './api/access.ts';
import { type Api, createApi, type Params } from './api/api.ts';
import { failureOf } from './api/failure.ts';
import { type EndpointSlice, endpointSlice, readPage, serviceWith } from './api/objects.ts';
import { list } from './api/reflect.ts';
import { endpointSlices, pathOf, pods, type Resource, services } from './api/resources.ts';
import { isDiscovered, queryFor, serviceOfKey } from './discovered.ts';
import { nameOf } from './endpoints.ts';
import { explainEndpoints } from './explain-endpoints.ts';
import { externalOf } from './external-names.ts';
import { choosePort } from './ports.ts';
import { keyOf, refusalOf, type ServiceQuery, servicesParams, slicesParams } from './service-query.ts';
import type { KubernetesDiscovery, KubernetesQuery, KubernetesSettings } from './settings.ts';

type Context = {
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  readonly signal: AbortSignal;
};

type Asked = { readonly key: string; readonly settings: KubernetesQuery | KubernetesDiscovery };

type Reading = { readonly api: Api; readonly namespace: string; readonly signal: AbortSignal };

/** Rejects where the API server does not answer, or refuses what the watcher has to read. */
export async function explainKubernetes(
  settings: KubernetesSettings,
  { key, settings: query }: Asked,
  { env, onSecret, signal }: Context,
): Promise<SourceAnswer> {
  const access = await openAccess({ ...settings, onSecret }, env, 1, signal);
  const asked = queryOf(key, query, settings, access.namespace);
  const refusal = isDiscovered({ key }) ? undefined : refusalOf(asked, settings);
  if (refusal !== undefined) return nobody(refusal, 'write it in the query, or in `namespaces` of the watcher');
  const reading: Reading = { api: createApi(access, settings.idleTimeout), namespace: asked.namespace, signal };
  const found = await readService(reading, asked, query, settings);
  if (!('service' in found)) return found;
  const { service } = found;
  const { port } = isDiscovered({ key }) ? queryFor(service).settings : asked.settings;
  const external = externalOf(service, { port }, settings);
  if (external?.kind === 'refused') return nobody(external.reason, null);
  if (external?.kind === 'host')
    return answer(
      [`it stands for ${external.host}`],
      [
        {
          id: external.host,
          address: external.host,
          port: external.port,
          unfit: null,
          said: ['its addresses are looked up'],
        },
      ],
    );
  const chosen = choosePort(service, port);
  if (chosen.kind === 'none')
    return nobody(
      `${nameOf(service)} ${chosen.reason}`,
      'name one: `port` of the query, or the annotation myelin.dev/port',
    );
  const slices = await readSlices(reading, asked);
  const instances = explainEndpoints(service, slices, { ...settings, port });
  const said = instances.length === 0 ? await whyNoOne(reading, service, slices) : [];
  return answer([...said], instances);
}

/** The Service that is meant; what is discovered names it by its key. */
function queryOf(
  key: string,
  query: Asked['settings'],
  settings: KubernetesSettings,
  own: string | undefined,
): ServiceQuery {
  if ('labels' in query || isDiscovered({ key })) return { key, settings: {}, ...serviceOfKey(key) };
  const namespace = query.namespace ?? settings.namespace ?? own ?? 'default';
  return { key, settings: query, namespace, service: query.service ?? key };
}

/** With its selector, which is of no use to who only serves. */
function serviceFor(query: Asked['settings']) {
  const { metadata, spec } = serviceWith('labels' in query ? Object.keys(query.labels) : []).shape;
  const selector = z.record(z.string(), z.string()).nullish();
  return z.object({ metadata, spec: spec.extend({ selector }) });
}

type Selecting = z.output<ReturnType<typeof serviceFor>>;

/** The Service as the watcher sees it, or why it does not. */
async function readService(
  reading: Reading,
  { namespace, service: name }: ServiceQuery,
  query: Asked['settings'],
  settings: KubernetesSettings,
): Promise<{ readonly service: Selecting } | SourceAnswer> {
  const schema = serviceFor(query);
  const read = async (params: Params): Promise<Selecting | undefined> =>
    (await readAll(reading, services, params, schema))[0];
  const service = await read(servicesParams({}, [name]));
  if (service === undefined)
    return nobody(
      `there is no Service ${keyOf(namespace, name)}`,
      'create it, or name another by `service` and `namespace` of the query',
    );
  const { labelSelector, fieldSelector } = settings;
  const isNarrowed = labelSelector !== undefined || fieldSelector !== undefined;
  if (isNarrowed && (await read(servicesParams({ labelSelector, fieldSelector }, [name]))) === undefined) {
    const selectors = [
      labelSelector && `labelSelector: ${labelSelector}`,
      fieldSelector && `fieldSelector: ${fieldSelector}`,
    ];
    return nobody(`the watcher leaves out ${nameOf(service)} (${selectors.filter(Boolean).join(', ')})`, null);
  }
  const missing =
    'labels' in query
      ? Object.entries(query.labels).filter(([label, value]) => service.metadata.labels[label] !== value)
      : [];
  if (missing.length > 0)
    return nobody(
      `${nameOf(service)} lacks the label ${missing.map(([label, value]) => `${label}=${value}`).join(', ')} (\`discover\`)`,
      `kubectl label service -n ${service.metadata.namespace} ${service.metadata.name} ${missing.map(([label, value]) => `${label}=${value}`).join(' ')}`,
    );
  return { service };
}

function readSlices(reading: Reading, { service }: ServiceQuery): Promise<readonly EndpointSlice[]> {
  return readAll(reading, endpointSlices, slicesParams({}, [service]), endpointSlice);
}

async function readAll<S extends z.ZodType>(
  { api, namespace, signal }: Reading,
  resource: Resource,
  params: Params,
  schema: S,
): Promise<readonly z.output<S>[]> {
  try {
    return (await list({ api, namespace, signal, resource, params, schema, isWanted: () => true })).objects;
  } catch (error) {
    const { reason } = failureOf(error, { resource, namespace, verb: 'list' }, wallClock());
    throw new AppError('MYELIN_SOURCE_FAILED', reason, { cause: error });
  }
}

/** Of pods that are not in any slice. */
const mostPods = 10;
const mostBytes = 2 ** 21;

const pod = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({ phase: z.string().nullish(), podIP: z.string().nullish() }).nullish(),
});

/** Why nobody is in the slices of this Service, as far as our rights show. */
async function whyNoOne(
  { api, namespace, signal }: Reading,
  { spec }: Selecting,
  slices: readonly EndpointSlice[],
): Promise<readonly string[]> {
  const there = slices.length === 0 ? 'no EndpointSlice belongs to it' : 'its EndpointSlices are empty';
  const selector = Object.entries(spec.selector ?? {})
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
  if (selector === '') return [there, 'it has no selector: its EndpointSlices are not made by the cluster'];
  const asked = { labelSelector: selector, limit: `${mostPods}` };
  try {
    const got = await api.get(pathOf(pods, namespace), asked, signal, mostBytes);
    const found = got.kind === 'answer' ? z.array(pod).parse(readPage(got.body).items) : [];
    if (found.length === 0) return [there, `no pod has the labels of its selector (${selector})`];
    const words = found.map(
      ({ metadata, status }) =>
        `${metadata.name} (${status?.phase ?? 'no phase'}${status?.podIP ? '' : ', no address'})`,
    );
    return [there, `its selector (${selector}) fits the pods ${words.join(', ')}`];
  } catch (error) {
    signal.throwIfAborted();
    const { reason } = failureOf(error, { resource: pods, namespace, verb: 'list' }, wallClock());
    return [
      there,
      `whether pods fit its selector (${selector}) is not to be seen, and Myelin does not need to: ${reason}`,
    ];
  }
}

function answer(said: SourceAnswer['said'], instances: SourceAnswer['instances']): SourceAnswer {
  return { unfit: null, said, instances };
}

function nobody(reason: string, remedy: string | null): SourceAnswer {
  return { unfit: { reason, remedy }, said: [], instances: [] };
}
