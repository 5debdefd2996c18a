/**
 * What an answer about one service is worth beside the last one: Consul's rules for its index, and which answers count only
 * once the leader, sure of being it, has repeated them.
 */

import { AppError } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import type { ConsulResponse, HealthRequest } from './client.ts';
import { endpointsOf, type Found, readInstances } from './endpoints.ts';
import type { ConsulQuery } from './settings.ts';

/** What the last good answer said; without an index (a proxy dropped the header) the service is polled. */
export type Known = Found & {
  readonly index: bigint | undefined;
  /** Those that are not served included. */
  readonly instances: number;
  /** The token may not see all of them. */
  readonly isFiltered: boolean;
};

export type Reading = {
  readonly query: ConsulQuery;
  /** What is the same in every request about this service. */
  readonly request: HealthRequest;
  /** Whether it is asked with a token: without one Consul does not say that it hides something. */
  readonly hasToken: boolean;
  readonly send: (request: HealthRequest, timeoutMs: Ms) => Promise<ConsulResponse>;
  /** How long an answer may take that need not wait for news. */
  readonly slackMs: Ms;
};

/** A server that lost touch with the leader for longer than this is not believed. */
const longestLagMs = 10_000;

/**
 * `waitMs`: how long it may wait for news beyond `known`; null: it is asked anew, as after a failure, where `known` may be
 * old and yet is what the answer has to measure up to. Returns `known` itself where it waited and nothing is new.
 */
export async function read(reading: Reading, known: Known | undefined, waitMs: Ms | null): Promise<Known> {
  const { send, request, query, slackMs } = reading;
  const stale = query.stale ? { stale: true } : {};
  const waited = waitMs === null ? undefined : known?.index;
  const first =
    waitMs === null || waited === undefined
      ? await send({ ...request, ...stale }, slackMs)
      : // Not all requests wait equally long, lest they all come back at once; the agent adds up to a sixteenth.
        await send(
          {
            ...request,
            ...stale,
            index: `${waited}`,
            wait: `${Math.ceil(waitMs * (0.9 + 0.1 * Math.random()))}ms`,
          },
          (waitMs * 17) / 16 + slackMs,
        );
  // An index that stands still says that nothing changed, and what follows need not be read.
  const stands = known !== undefined && waited !== undefined && indexIn(first) === waited;
  if (stands && Array.isArray(first.body) && first.body.length >= known.instances) return known;
  const answer = understand(first, known, reading);
  if (!isDoubtful(first, answer, known, waitMs === null)) return answer;
  return understand(await send({ ...request, consistent: true }, slackMs), known, reading);
}

/** `index` of an answer: never 0, which would send for an answer at once for ever. Opaque but for being comparable. */
export function indexOf(header: string | readonly string[] | undefined): bigint | undefined {
  if (typeof header !== 'string' || !/^\d{1,20}$/.test(header)) return undefined;
  const index = BigInt(header);
  return index === 0n ? 1n : index;
}

function isDoubtful({ headers }: ConsulResponse, answer: Known, known: Known | undefined, isAnew: boolean): boolean {
  const becameEmpty = answer.endpoints.length === 0 && (isAnew || known === undefined || known.endpoints.length > 0);
  const wentBack = known?.index !== undefined && answer.index !== undefined && answer.index < known.index;
  // A streaming agent shows so, and no otherwise, that the token has lost its rights.
  const isFewer = known?.index !== undefined && answer.index === known.index && answer.instances < known.instances;
  // Answers of an agent's streaming backend always say that there is no known leader.
  const leaderless = headers['x-consul-query-backend'] !== 'streaming' && headers['x-consul-knownleader'] === 'false';
  const lags = leaderless || Number(headers['x-consul-lastcontact'] ?? 0) > longestLagMs;
  return becameEmpty || wentBack || isFewer || lags;
}

function understand(answer: ConsulResponse, known: Known | undefined, { request, query, hasToken }: Reading): Known {
  const instances = readInstances(answer.body);
  const isFiltered = answer.headers['x-consul-results-filtered-by-acls'] === 'true';
  const isHidden = !hasToken && answer.headers['x-consul-default-acl-policy'] === 'deny';
  // Without sufficient rights Consul shows fewer, or nobody, where it could say 403; that is no absence. Where some were
  // hidden all along, the others may come and go.
  const lostSome = known?.isFiltered === false && instances.length < known.instances;
  const service = JSON.stringify(request.service);
  if (isFiltered && (instances.length === 0 || lostSome))
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `the token may not see ${instances.length === 0 ? '' : 'all of '}${service}: ${lacking}`,
    );
  if (instances.length === 0 && isHidden)
    throw new AppError(
      'MYELIN_SOURCE_FAILED',
      `nothing of ${service} can be seen without a token that has service:read and node:read`,
      { remedy: 'set `token`, `tokenFile` or CONSUL_HTTP_TOKEN' },
    );
  return { index: indexIn(answer), ...endpointsOf(instances, query), instances: instances.length, isFiltered };
}

/** For `unreadable`: who is served are those that the token shows. */
export function hiddenIn(known: Known, service: string): string | null {
  return known.isFiltered ? `the token shows only some instances of ${JSON.stringify(service)}: ${lacking}` : null;
}

const lacking = 'it lacks service:read for it or node:read for its nodes';

function indexIn({ headers }: ConsulResponse): bigint | undefined {
  return indexOf(headers['x-consul-index']);
}
