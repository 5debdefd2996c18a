/** One service in full: the source's words beside HAProxy's, ways to it, certificates, overrides, and what changed it last. */

import type { PastEvent } from './history/kept.ts';
import type { ServerStatus } from './servers.ts';
import type { CertificateStatus, ServiceStatus, Status } from './status.ts';

export type ServiceReport = {
  readonly service: ServiceStatus;
  readonly servers: readonly ServerStatus[];
  /** Where clients reach it: its own binds, and its routes. */
  readonly ways: readonly string[];
  readonly routesLeftOut: Status['routesLeftOut'];
  /** That clients see on its routes. */
  readonly certificates: readonly CertificateStatus[];
  readonly orders: Status['orders'];
  /** The last change of it that the history has; null: none. */
  readonly lastChange: PastEvent | null;
  /** The last reload that it was a reason for; null: none in the history. */
  readonly lastReload: PastEvent | null;
};

type Facts = {
  readonly name: string;
  readonly status: Status;
  readonly servers: readonly ServerStatus[];
  readonly ways: readonly string[];
  /** The frontends and hosts of its routes; null: any host. */
  readonly hosts: readonly { readonly frontend: string; readonly host: string | null }[];
  /** What happened to it, the oldest first. */
  readonly history: readonly PastEvent[];
};

/** null: there is no such service. */
export function serviceReport({ name, status, servers, ways, hosts, history }: Facts): ServiceReport | null {
  const service = status.services.find((one) => one.name === name);
  if (service === undefined) return null;
  const byTime = history.toSorted((a, b) => a.lastAt - b.lastAt);
  return {
    service,
    servers,
    ways,
    routesLeftOut: status.routesLeftOut.filter((one) => one.service === name),
    certificates: status.certificates.filter((certificate) => hosts.some((route) => shows(certificate, route))),
    orders: status.orders.filter(({ backend }) => servers.some((server) => server.backend === backend)),
    lastChange: byTime.findLast(({ kind }) => kind === 'runtime' || kind === 'reload') ?? null,
    lastReload: byTime.findLast(({ kind }) => kind === 'reload') ?? null,
  };
}

function shows({ frontend, names, isDefault }: CertificateStatus, route: Facts['hosts'][number]): boolean {
  if (frontend !== route.frontend) return false;
  const { host } = route;
  return host === null ? isDefault : isDefault || names.some((name) => name === host || isWildcardFor(name, host));
}

function isWildcardFor(name: string, host: string): boolean {
  return name.startsWith('*.') && host.slice(host.indexOf('.') + 1) === name.slice(2);
}
