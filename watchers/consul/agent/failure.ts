/** What a failed query means: the reason for people, the delay that the agent asked for, and what else it concerns. */
import { describe } from '../../../src/errors.ts';
import type { Ms } from '../../../src/model.ts';
import { retryAfterMs } from '../../kit/retry-after.ts';
import { CutShort } from './client.ts';

export type Failure = {
  readonly reason: string;
  /** The delay that the agent asked for; 0: none. */
  readonly retryAfterMs: Ms;
  /** What fails: other queries to the same agent or datacenter fail as well. */
  readonly scope: 'agent' | 'datacenter' | 'query';
  /**
   * Whether a retry can help. `query`: it cannot, the query itself is wrong. `presumed`: the query is wrong if other queries
   * succeed; else something other than an agent may have responded, such as a proxy that redirects.
   */
  readonly fault: 'none' | 'presumed' | 'query';
};

/** `now` is the wall clock's, in milliseconds: Retry-After may be a date. */
export function failureOf(error: unknown, now: number): Failure {
  if (!(error instanceof Error)) return { reason: String(error), retryAfterMs: 0, scope: 'query', fault: 'none' };
  const response = responseOf(error);
  if (response === undefined)
    return {
      reason: reasonOf(error),
      retryAfterMs: 0,
      scope: isOfConnection(error) ? 'agent' : 'query',
      fault: 'none',
    };
  const text = bodyText(response.body);
  return {
    reason: `HTTP ${response.statusCode}${text === '' ? '' : ` (${text})`}${hints[response.statusCode] ?? ''}`,
    retryAfterMs: retryAfterMs(response.headers['retry-after'], now),
    scope: scopeOf(response.statusCode, text),
    fault: faultOf(response.statusCode, text),
  };
}

function faultOf(status: number, text: string): Failure['fault'] {
  // A wrong filter leads to status 400 or 500.
  if (status === 400 || /boolean expression/i.test(text)) return 'query';
  return status < 400 || finalStatuses.has(status) ? 'presumed' : 'none';
}

/** The same request gets the same status again: there is no such path or method, or it is too long. */
const finalStatuses: ReadonlySet<number> = new Set([404, 405, 410, 413, 414, 431]);

function scopeOf(status: number, text: string): Failure['scope'] {
  if (status === 429) return 'agent';
  return status === 403 || /no cluster leader/i.test(text) ? 'datacenter' : 'query';
}

const hints: Readonly<Record<number, string>> = {
  403: ': the token is unknown, expired or lacks rights; check `token` or `tokenFile`',
  429: ': the agent limits requests or connections; see its `limits`, and `maxConnections` here',
};

type Response = {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
};

/** The library sets `response` on its errors; its types do not say so. */
function responseOf(error: Error): Response | undefined {
  if (!('response' in error) || typeof error.response !== 'object' || error.response === null) return undefined;
  // A response that cannot be decoded has a status of 2xx: then the message of the error says more.
  if (!('statusCode' in error.response) || typeof error.response.statusCode !== 'number') return undefined;
  return error.response.statusCode >= 300 ? (error.response as Response) : undefined;
}

function bodyText(body: unknown): string {
  if (typeof body !== 'string' || /^\s*</.test(body)) return '';
  return body
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/** Errors of a connection have a code of the system or of TLS; timeouts and incomplete responses do not. */
function isOfConnection(error: Error): boolean {
  return (
    !(error instanceof CutShort) &&
    'code' in error &&
    typeof error.code === 'string' &&
    !error.code.startsWith('MYELIN_')
  );
}

function reasonOf(error: Error): string {
  const text = describe(error).replace(/^consul: (health\.service: )?/, '');
  // The error of an attempt at several addresses of one name (localhost) has an empty message.
  return text === '' && 'code' in error ? String(error.code) : text;
}
