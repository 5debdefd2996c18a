/** What a failed query means: why, for people; how long to wait; and how much is at fault. */
import { describe } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { retryAfterMs } from '../kit/retry-after.ts';
import { CutShort } from './client.ts';

export type Failure = {
  readonly reason: string;
  /** What the agent asked for; 0 where it did not. */
  readonly retryAfterMs: Ms;
  /** Whom the failure is about; queries that share it would fail as well. */
  readonly scope: 'agent' | 'datacenter' | 'query';
  /**
   * Whether to ask again can help. `query`: the query itself is wrong, and has no answer before somebody changes it.
   * `presumed`: so it is where the agent answers others; else who answers so may be no agent, as a proxy that redirects.
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
  // A wrong filter has either status.
  if (status === 400 || /boolean expression/i.test(text)) return 'query';
  return status < 400 || finalStatuses.has(status) ? 'presumed' : 'none';
}

/** Statuses that the same request would be answered with again: no such path, method or length. */
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

/** The library hangs the response on its errors; nothing in its types says so. */
function responseOf(error: Error): Response | undefined {
  if (!('response' in error) || typeof error.response !== 'object' || error.response === null) return undefined;
  // An answer that could not be decoded has a status of 2xx: then the error's own text says more.
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

/** Errors of the connection carry a code of the system or of TLS; timeouts and cut answers do not. */
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
  // An attempt at several addresses of one name (localhost) has an empty message of its own.
  return text === '' && 'code' in error ? String(error.code) : text;
}
