/** Requests of people and the command line. Only the control socket, which belongs to its owner, accepts changes. */
import type { IncomingMessage } from 'node:http';
import { parseListen, readTime } from '../config/values.ts';
import { AppError } from '../errors.ts';
import { parseAddress } from '../lib/net/address.ts';
import { now, toWallClock, wallClock } from '../lib/time/clock.ts';
import type { Timestamp } from '../model.ts';
import type { OverrideRequest } from '../reconcile/overrides/override-store.ts';
import type { AppliedPlan } from '../report/last-plans.ts';
import type { RouteStatus } from '../report/routes.ts';
import type { ServerStatus } from '../report/servers.ts';
import type { ServiceReport } from '../report/service-report.ts';
import type { Status } from '../report/status.ts';
import { problemsOf } from '../report/status-problems.ts';
import type { Why } from '../report/why.ts';
import { problem, type Reply, type Route, type RouteRequest, refusal, refused } from './server.ts';

export type AdminSources = {
  readonly status: () => Status | Promise<Status>;
  /** One in full; null: there is no such service. */
  readonly service: (service: string) => Promise<ServiceReport | null>;
  /** Every server of the service, or of all; null: there is no such service. */
  readonly servers: (service: string | null) => Promise<readonly ServerStatus[] | null>;
  /** Why it gets traffic or none: a service, one of its servers, or a host and path. */
  readonly why: (about: string) => Promise<Why>;
  /** The routes of the service, or of all. */
  readonly routes: (service: string | null) => readonly RouteStatus[];
  /** The last plans that were carried out, the newest first. */
  readonly plans: () => Promise<readonly AppliedPlan[]>;
  /** The live config, with secrets masked. */
  readonly config: () => unknown;
  /** Settles when the request is done; its value is the response. */
  readonly reload: () => Promise<unknown>;
  /** Removes the retained endpoints of a service, or of all, and returns their numbers; null: there is no such service. */
  readonly accept: (service: string | null) => readonly Accepted[] | null;
  /** Rejects with an AppError where there is no such server, or where HAProxy refuses the override. */
  readonly override: (request: OverrideRequest) => Promise<void>;
  /** Begins the stop; the response is still sent. Its value is the HAProxy that serves on without Myelin. */
  readonly stop: () => Promise<LeftHaproxy | null>;
};

/** The number of removed endpoints: the response to `accept`, which is a list where all services are accepted. */
export type Accepted = { readonly service: string; readonly endpoints: number };

/** The HAProxy that Myelin started and that serves on when it ends, and where. */
type LeftHaproxy = { readonly pid: number; readonly binds: readonly string[] };

/** The response to `stop`; null: no HAProxy of ours serves on. */
export type Stopping = { readonly stopping: true; readonly haproxy: LeftHaproxy | null };

/** The response to an override of a server; `until` null: until an operator ends it. */
export type Overridden = {
  readonly service: string;
  readonly server: string;
  readonly state: (typeof serverStates)[number];
  readonly until: Timestamp | null;
};

/** The states that an operator can set a server to; ready ends an override. */
const serverStates = ['maint', 'drain', 'ready'] as const;

export function adminRoutes({
  status,
  service,
  servers,
  why,
  routes,
  plans,
  config,
  reload,
  accept,
  override,
  stop,
}: AdminSources): readonly Route[] {
  return [
    { method: 'GET', path: '/api/v1/status', answer: async () => ok(await status()) },
    { method: 'GET', path: '/api/v1/services', answer: async () => ok((await status()).services) },
    {
      method: 'GET',
      path: '/api/v1/services/{service}',
      answer: async ({ names: [name = ''] }) => {
        const report = await service(name);
        return report === null ? noService(name) : ok(report);
      },
    },
    { method: 'GET', path: '/api/v1/problems', answer: async () => ok(problemsOf(await status(), wallClock())) },
    {
      method: 'GET',
      path: '/api/v1/servers',
      answer: async ({ query }) => {
        const name = query.get('service');
        const list = await servers(name);
        return list === null ? noService(name ?? '') : ok(list);
      },
    },
    { method: 'GET', path: '/api/v1/why', answer: async ({ query }) => ok(await why(query.get('about') ?? '')) },
    { method: 'GET', path: '/api/v1/routes', answer: ({ query }) => ok(routes(query.get('service'))) },
    { method: 'GET', path: '/api/v1/plans', answer: async () => ok(await plans()) },
    { method: 'GET', path: '/api/v1/config', answer: () => ok(config()) },
    { method: 'POST', path: '/api/v1/reload', answer: async () => ok(await reload()) },
    { method: 'POST', path: '/api/v1/accept', answer: () => ok(accept(null) ?? []) },
    {
      method: 'POST',
      path: '/api/v1/accept/{service}',
      answer: ({ names: [name = ''] }) => accepted(name, accept(name)),
    },
    {
      method: 'POST',
      path: '/api/v1/servers/{service}/{server}/{state}',
      answer: (request) => overridden(request, override),
    },
    {
      method: 'POST',
      path: '/api/v1/stop',
      answer: async () => {
        const body: Stopping = { stopping: true, haproxy: await stop() };
        return { status: 202, body };
      },
    },
  ];
}

/** `hosts`: further names that it is asked by. */
type Listener = { readonly listen: string; readonly hosts: readonly string[] };

/**
 * For `admin.listen`, which needs no password: it serves reads and refuses changes, and it refuses requests
 * from another site's page in a browser on this machine (its name may have been pointed here: DNS rebinding).
 */
export function tcpRefusal({ listen, hosts }: Listener): (request: IncomingMessage) => Reply | null {
  const names = new Set(['localhost', parseListen(listen)?.host, ...hosts].map((name) => name?.toLowerCase()));
  return ({ method, url, headers, socket }) => {
    if (method !== 'GET' && method !== 'HEAD') {
      const why = 'changes are taken on the control socket only: use the `myelin` command (admin.socket)';
      return { ...problem(405, why), allow: 'GET, HEAD' };
    }
    const host = hostOf(headers.host);
    if (host === null || !(names.has(host) || isSame(host, socket.localAddress)))
      return problem(
        403,
        'refused for this Host header: ask by the IP address that is asked, as localhost, as admin.listen has it, or by one of admin.hosts',
      );
    // A link that somebody follows to the page: it shows nothing of itself, and its own requests are its own.
    if (url === '/' && headers['sec-fetch-mode'] === 'navigate') return null;
    const { origin, 'sec-fetch-site': site } = headers;
    const isForeign = origin !== undefined && origin.toLowerCase() !== `http://${headers.host?.toLowerCase()}`;
    if (isForeign || site === 'cross-site' || site === 'same-site')
      return problem(403, 'refused: a page of another site asked');
    return null;
  };
}

function accepted(service: string, list: readonly Accepted[] | null): Reply {
  if (list === null) return noService(service);
  return ok(list[0] ?? ({ service, endpoints: 0 } satisfies Accepted));
}

function noService(service: string): Reply {
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

function ok(body: unknown): Reply {
  return { status: 200, body };
}

/** Compares the addresses, however they are written. */
function isSame(host: string, address: string | undefined): boolean {
  const asked = parseAddress(host);
  return asked !== null && asked.text === parseAddress(address ?? '')?.text;
}

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT` → the host, in lower case and without brackets. */
function hostOf(header: string | undefined): string | null {
  const [, ipv6, name] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d+)?$/.exec(header ?? '') ?? [];
  return (ipv6 ?? name)?.toLowerCase() ?? null;
}
