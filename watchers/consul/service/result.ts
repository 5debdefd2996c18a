/**
 * What a response about one service says, compared with the last result: Consul's rules for its index, and which responses
 * count only after the leader has confirmed them. Pure.
 */
import { AppError } from '../../../src/errors.ts';
import type { Unreadable } from '../../../src/model.ts';
import type { ConsulResponse } from '../agent/client.ts';
import { type OldestInstance, oldestOf } from '../catalog/own-options.ts';
import type { ConsulQuery } from '../settings.ts';
import { endpointsOf, readInstances, type ServiceEndpoints } from './endpoints.ts';

export type ServiceResult = ServiceEndpoints & {
  /** undefined: a proxy dropped the header; then the service is polled. */
  readonly index: bigint | undefined;
  /** The number of instances, those included that are not served. */
  readonly instances: number;
  /** Null: there is none. */
  readonly oldest: OldestInstance | null;
  /** The token does not show all instances. */
  readonly isFiltered: boolean;
  /** Instances that the token hides. */
  readonly unreadable: readonly Unreadable[];
};

export type ResultContext = {
  readonly query: Pick<ConsulQuery, 'warning'>;
  readonly service: string;
  /** Whether requests carry a token: without one Consul does not say that it hides instances. */
  readonly hasToken: boolean;
  /** Which instances are meant, by their tags; null: all. */
  readonly isMeant?: ((tags: readonly string[]) => boolean) | null | undefined;
};

/** A server that has not heard from the leader for longer than this is not trusted. */
const longestLagMs = 10_000;

/** Throws where the response hides instances, so that nobody knows who is missing. */
export function resultOf(
  { headers, body }: ConsulResponse,
  last: ServiceResult | undefined,
  { query, service, hasToken, isMeant = null }: ResultContext,
): ServiceResult {
  const all = readInstances(body);
  const instances = isMeant === null ? all : all.filter(({ Service }) => isMeant(Service.Tags ?? []));
  const isFiltered = headers['x-consul-results-filtered-by-acls'] === 'true';
  const isDenied = !hasToken && headers['x-consul-default-acl-policy'] === 'deny';
  const name = JSON.stringify(service);
  // Without sufficient rights Consul shows fewer instances, or none, instead of a 403: that is no absence. Where some were
  // hidden all along, the others may come and go.
  const lostSome = last?.isFiltered === false && instances.length < last.instances;
  if (isFiltered && (instances.length === 0 || lostSome))
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `the token may not see ${instances.length === 0 ? '' : 'all of '}${name}: ${lacking}`,
    );
  if (instances.length === 0 && isDenied)
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `nothing of ${name} can be seen without a token that has service:read and node:read`,
      { remedy: 'set `token`, `tokenFile` or CONSUL_HTTP_TOKEN' },
    );
  const unreadable = isFiltered
    ? [{ id: service, reason: `the token shows only some instances of ${name}: ${lacking}` }]
    : [];
  const index = indexOf(headers['x-consul-index']);
  const oldest = oldestOf(instances);
  return { index, ...endpointsOf(instances, query), instances: instances.length, oldest, isFiltered, unreadable };
}

const lacking = 'it lacks service:read for it or node:read for its nodes';

/** The index is as before, so nothing has changed: the body need not be read. */
export function isUnchanged({ headers, body }: ConsulResponse, last: ServiceResult): boolean {
  const isSameIndex = last.index !== undefined && indexOf(headers['x-consul-index']) === last.index;
  return isSameIndex && Array.isArray(body) && body.length >= last.instances;
}

/** Whether the leader has to confirm the result. `isFirst`: the first one after a start or a failure. */
export function isDoubtful(
  { headers }: ConsulResponse,
  result: ServiceResult,
  last: ServiceResult | undefined,
  isFirst: boolean,
): boolean {
  const isNews = (count: number | undefined): boolean => isFirst || count === undefined || count > 0;
  const becameEmpty =
    (result.endpoints.length === 0 && isNews(last?.endpoints.length)) ||
    (result.instances === 0 && isNews(last?.instances));
  const wentBack = last?.index !== undefined && result.index !== undefined && result.index < last.index;
  // This is the only sign by which a streaming agent shows that the token has lost its rights.
  const isFewer = last?.index !== undefined && result.index === last.index && result.instances < last.instances;
  // Responses of an agent's streaming backend always say that there is no known leader.
  const isLeaderless = headers['x-consul-query-backend'] !== 'streaming' && headers['x-consul-knownleader'] === 'false';
  const lags = isLeaderless || Number(headers['x-consul-lastcontact'] ?? 0) > longestLagMs;
  return becameEmpty || wentBack || isFewer || lags;
}

/** Never 0: a request with index 0 does not block. Only the order of indexes has a meaning. */
export function indexOf(header: string | readonly string[] | undefined): bigint | undefined {
  if (typeof header !== 'string' || !/^\d{1,20}$/.test(header)) return undefined;
  const index = BigInt(header);
  return index === 0n ? 1n : index;
}
