/** What a failed query means: the reason for people, the delay that the server asked for, and what else fails. */
import { AppError, describe } from '../../../src/errors.ts';
import type { Ms } from '../../../src/model.ts';
import { retryAfterMs } from '../../kit/retry-after.ts';
import { ApiError } from './api.ts';
import type { Resource } from './resources.ts';

export type Failure = {
  readonly reason: string;
  /** The delay that the server asked for; 0: none. */
  readonly retryAfterMs: Ms;
  /** `server`: all other queries would fail as well; `query`: this resource in this namespace, perhaps alone. */
  readonly scope: 'server' | 'query';
  /** The server runs, but is overloaded. */
  readonly isBusy: boolean;
};

export type Asked = {
  readonly resource: Resource;
  /** Null: the whole cluster. */
  readonly namespace: string | null;
  readonly verb: 'list' | 'watch';
};

/** `now` is the wall clock's, in milliseconds: Retry-After may be a date. */
export function failureOf(error: unknown, { resource, namespace, verb }: Asked, now: number): Failure {
  const where = namespace === null ? 'all namespaces' : `namespace ${namespace}`;
  const what = `${verb} ${resource.plural} in ${where}`;
  if (!(error instanceof ApiError))
    return {
      reason: `${what}: ${reasonOf(error)}`,
      retryAfterMs: 0,
      // Without credentials nothing can be asked. A connection, an answer or an object may be bad alone.
      scope: error instanceof AppError ? 'server' : 'query',
      isBusy: false,
    };
  const said = `HTTP ${error.status}${error.message === '' ? '' : ` (${error.message})`}`;
  return {
    reason: `${what}: ${said}${remedyOf(error, { resource, namespace, verb })}`,
    retryAfterMs: retryAfterMs(error.retryAfter, now),
    scope: error.status === 401 ? 'server' : 'query',
    isBusy: error.status === 429,
  };
}

function remedyOf({ status }: ApiError, { resource, namespace }: Asked): string {
  if (status === 401) return ': the token or certificate is unknown or has expired';
  if (status !== 403) return '';
  const { group, plural } = resource;
  // A line of a role's rules, ready to be copied: with one verb alone it would be refused at the next.
  const rule = `{ apiGroups: ["${group}"], resources: ["${plural}"], verbs: ["get", "list", "watch"] }`;
  return `; the rule ${rule} of a ${namespace === null ? 'ClusterRole' : `Role in ${namespace}`} allows it`;
}

function reasonOf(error: unknown): string {
  const text = describe(error);
  // An attempt at several addresses of one name (localhost) has an empty message of its own.
  return error instanceof Error && error.message === '' && 'code' in error ? String(error.code) : text;
}
