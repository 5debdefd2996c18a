/** What people and the command line ask, and what they change: that over the control socket alone, which is its owner's. */
import type { IncomingMessage } from 'node:http';
import { parseListen, readTime } from '../config/values.ts';
import { AppError } from '../errors.ts';
import { parseAddress } from '../lib/net/address.ts';
import { now, toWallClock } from '../lib/time/clock.ts';
import type { Timestamp } from '../model.ts';
import type { OverrideRequest } from '../reconcile/overrides/override-store.ts';
import type { Status } from '../report/status.ts';
import { problem, type Reply, type Route, type RouteRequest, refusal } from './server.ts';

export type AdminSources = {
  readonly status: () => Status;
  /** The config as it is in force, secrets masked. */
  readonly config: () => unknown;
  /** Settles when it was seen to; its value is the answer. */
  readonly reload: () => Promise<unknown>;
  /** Lets go what is kept of a service: how many endpoints; null: there is no such service. */
  readonly accept: (service: string) => number | null;
  /** Rejects with an AppError where there is no such server, or where HAProxy does not take it. */
  readonly override: (request: OverrideRequest) => Promise<void>;
  /** Begins the end; the answer still goes out. */
  readonly stop: () => void;
};

/** The answer to `accept`: how many endpoints are let go. */
export type Accepted = { readonly service: string; readonly endpoints: number };

/** The answer to an override of a server; `until` null: until it is taken back. */
export type Overridden = {
  readonly service: string;
  readonly server: string;
  readonly state: (typeof serverStates)[number];
  readonly until: Timestamp | null;
};

/** What an operator can set a server to; ready takes an override back. */
const serverStates = ['maint', 'drain', 'ready'] as const;

export function adminRoutes({ status, config, reload, accept, override, stop }: AdminSources): readonly Route[] {
  return [
    { method: 'GET', path: '/api/v1/status', answer: () => ok(status()) },
    { method: 'GET', path: '/api/v1/services', answer: () => ok(status().services) },
    { method: 'GET', path: '/api/v1/config', answer: () => ok(config()) },
    { method: 'POST', path: '/api/v1/reload', answer: async () => ok(await reload()) },
    {
      method: 'POST',
      path: '/api/v1/accept/{service}',
      answer: ({ names: [service = ''] }) => accepted(service, accept(service)),
    },
    {
      method: 'POST',
      path: '/api/v1/servers/{service}/{server}/{state}',
      answer: (request) => overridden(request, override),
    },
    {
      method: 'POST',
      path: '/api/v1/stop',
      answer: () => {
        stop();
        return { status: 202, body: { stopping: true } };
      },
    },
  ];
}

/**
 * For `admin.listen`, which asks nobody for a password: it answers questions and changes nothing, and it answers no
 * page of another site that a browser on this machine was led to (its name may have been pointed here: DNS rebinding).
 */
export function tcpRefusal(listen: string): (request: IncomingMessage) => Reply | null {
  const ownHost = parseListen(listen)?.host?.toLowerCase() ?? null;
  return ({ method, headers, socket }) => {
    if (method !== 'GET' && method !== 'HEAD') {
      const why = 'changes are taken on the control socket only: use the `myelin` command (admin.socket)';
      return { ...problem(405, why), allow: 'GET, HEAD' };
    }
    const host = hostOf(headers.host);
    if (host === null || !(host === ownHost || host === 'localhost' || isSame(host, socket.localAddress)))
      return problem(
        403,
        'refused for this Host header: ask by the IP address that is asked, as localhost, or as admin.listen has it',
      );
    const { origin, 'sec-fetch-site': site } = headers;
    const isForeign = origin !== undefined && origin.toLowerCase() !== `http://${headers.host?.toLowerCase()}`;
    if (isForeign || site === 'cross-site' || site === 'same-site')
      return problem(403, 'refused: a page of another site asked');
    return null;
  };
}

function accepted(service: string, endpoints: number | null): Reply {
  if (endpoints !== null) return ok({ service, endpoints } satisfies Accepted);
  const message = `there is no service ${JSON.stringify(service)}`;
  return refusal(404, new AppError('MYELIN_USAGE', message, { remedy: '`myelin status` lists the services' }));
}

async function overridden(request: RouteRequest, apply: AdminSources['override']): Promise<Reply> {
  let override: OverrideRequest;
  try {
    override = readOverride(request);
  } catch (error) {
    return refused(400, error);
  }
  try {
    await apply(override);
  } catch (error) {
    return refused(404, error);
  }
  const { backend, server, state, until } = override;
  const ends = until === null ? null : toWallClock(until);
  return ok({ service: backend, server, state: state ?? 'ready', until: ends } satisfies Overridden);
}

/** Throws an AppError. */
function readOverride({ names, query }: RouteRequest): OverrideRequest {
  const [backend = '', server = '', wanted] = names;
  const state = serverStates.find((each) => each === wanted);
  const time = query.get('for');
  if (state === undefined) throw new AppError('MYELIN_USAGE', `a server can be set to ${serverStates.join(', ')}`);
  if (state === 'ready' && time !== null)
    throw new AppError('MYELIN_USAGE', 'a server is given back for good: `for` goes with maint and drain');
  const until = time === null ? null : now() + readTime('for', time);
  return { backend, server, state: state === 'ready' ? null : state, until };
}

/** Errors that the client can mend; any other is an error of the server. */
function refused(status: number, error: unknown): Reply {
  if (error instanceof AppError && error.code === 'MYELIN_USAGE') return refusal(status, error);
  throw error;
}

function ok(body: unknown): Reply {
  return { status: 200, body };
}

/** However each of them is spelled. */
function isSame(host: string, address: string | undefined): boolean {
  const asked = parseAddress(host);
  return asked !== null && asked.text === parseAddress(address ?? '')?.text;
}

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT` → the host, in lower case and without brackets. */
function hostOf(header: string | undefined): string | null {
  const [, ipv6, name] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d+)?$/.exec(header ?? '') ?? [];
  return (ipv6 ?? name)?.toLowerCase() ?? null;
}
