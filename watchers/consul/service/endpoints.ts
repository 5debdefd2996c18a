/** Makes endpoints for HAProxy of the instances that Consul lists with their checks. Pure. */
import { z } from 'zod';
import { AppError } from '../../../src/errors.ts';
import { type Endpoint, maxWeight, type Unfit } from '../../../src/model.ts';
import type { ConsulQuery } from '../settings.ts';

/** The fields of GET /v1/health/service/:service that are used here. */
const instanceShape = z.object({
  Node: z.object({ Node: z.string(), Address: z.string(), Datacenter: z.string().exactOptional() }),
  Service: z.object({
    ID: z.string(),
    Service: z.string().default(''),
    Address: z.string().default(''),
    Port: z.number().default(0),
    Tags: z.array(z.string()).nullish(),
    Meta: z.record(z.string(), z.string()).nullish(),
    Namespace: z.string().exactOptional(),
    Weights: z.object({ Passing: z.number(), Warning: z.number() }).nullish(),
    CreateIndex: z.number().default(0),
  }),
  Checks: z.array(z.object({ CheckID: z.string(), Status: z.string() })),
});
export type Instance = z.output<typeof instanceShape>;

/** Throws where `body` is no list of instances but the page of a proxy, of another server, or a part of a text. */
export function readInstances(body: unknown): readonly Instance[] {
  const read = z.array(instanceShape).safeParse(body);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
  throw new AppError('MYELIN_SOURCE_FAILED', `the answer is not a list of service instances${place}`, {
    remedy: 'check that the address is that of a Consul agent and that no proxy answers in its place',
  });
}

export type ServiceEndpoints = { readonly endpoints: readonly Endpoint[]; readonly unfit: readonly Unfit[] };

/** Instances in maintenance drain, critical ones are unfit, and ones with a warning are used if the query says so. */
export function endpointsOf(
  instances: readonly Instance[],
  { warning }: Pick<ConsulQuery, 'warning'>,
): ServiceEndpoints {
  const endpoints: Endpoint[] = [];
  const unfit: Unfit[] = [];
  for (const instance of instances) {
    const health = healthOf(instance);
    const endpoint = endpointOf(instance, health);
    if (health === 'critical' || (health === 'warning' && warning === 'ignore')) {
      const { id, address, port } = endpoint;
      unfit.push({ id, address, port });
    } else endpoints.push(endpoint);
  }
  // Consul's weights go up to 65,535: they are scaled to HAProxy's, and keep their ratios.
  const heaviest = endpoints.reduce((most, { weight }) => Math.max(most, weight), 0);
  if (heaviest <= maxWeight) return { endpoints, unfit };
  return { endpoints: endpoints.map((one) => ({ ...one, weight: scaled(one.weight, heaviest) })), unfit };
}

type Health = 'passing' | 'warning' | 'critical' | 'maintenance';

/** In the order of Consul's own clients: maintenance, which is a form of critical, comes first. */
function healthOf({ Checks }: Instance): Health {
  if (Checks.some(({ CheckID }) => isMaintenance(CheckID))) return 'maintenance';
  // An unknown status counts as critical.
  if (Checks.some(({ Status }) => Status !== 'passing' && Status !== 'warning')) return 'critical';
  return Checks.some(({ Status }) => Status === 'warning') ? 'warning' : 'passing';
}

function isMaintenance(checkId: string): boolean {
  return checkId === '_node_maintenance' || checkId.startsWith('_service_maintenance:');
}

/** Passes on address, port and weight as they are: the catalog refuses and reports what HAProxy cannot serve. */
function endpointOf({ Node, Service }: Instance, health: Health): Endpoint {
  const weights = Service.Weights ?? { Passing: 1, Warning: 1 };
  return {
    id: `${Node.Node}:${Service.ID}`,
    address: Service.Address === '' ? Node.Address : Service.Address,
    port: Service.Port,
    weight: health === 'warning' ? weights.Warning : weights.Passing,
    state: health === 'maintenance' ? 'draining' : 'ready',
    tags: Service.Tags ?? [],
    meta: Service.Meta ?? {},
    origin: {
      node: Node.Node,
      ...(Node.Datacenter === undefined ? {} : { datacenter: Node.Datacenter }),
      ...(Service.Namespace === undefined ? {} : { namespace: Service.Namespace }),
    },
  };
}

function scaled(weight: number, heaviest: number): number {
  return weight <= 0 ? weight : Math.max(1, Math.round((weight * maxWeight) / heaviest));
}
