/** One service in full, for people. */
import type { Timestamp } from '../../model.ts';
import type { ServerStatus } from '../../report/servers.ts';
import type { ServiceReport } from '../../report/service-report.ts';
import { formatEventLine } from '../../report/text/event-text.ts';
import { age, table } from '../../report/text/format.ts';
import { printable } from '../../report/text/printable.ts';
import { formatServers } from './servers-text.ts';
import { describeCertificate, describeService, readable } from './status-text.ts';

export function formatService(raw: ServiceReport, now: Timestamp): string {
  const report = readable(raw);
  const { service, servers, ways, routesLeftOut, certificates, orders, lastChange, lastReload } = report;
  const rows: [string, string][] = [
    ['service', service.name],
    ['sources', describeService(service, now)],
    ['reached at', ways.length === 0 ? 'nothing leads to it' : ways.join('\n')],
    ...routesLeftOut.map(({ route, frontend, holder }): [string, string] => [
      'left out',
      `route ${route} of ${frontend}: ${holder} has it`,
    ]),
    ...certificates.map((each): [string, string] => [`certificate ${each.name}`, describeCertificate(each, now)]),
    ...orders.map(({ backend, server, state, until }): [string, string] => [
      'override',
      `${backend}/${server} ${state}${until === null ? '' : ` for another ${age(now, until)}`}; \`myelin server ready ${backend}/${server}\` ends it`,
    ]),
    ['last change', lastChange === null ? 'none in the history' : printable(formatEventLine(lastChange))],
    ['last reload', lastReload === null ? 'none because of it in the history' : printable(formatEventLine(lastReload))],
  ];
  const differing = servers.filter(differs);
  const news =
    differing.length === 0
      ? ''
      : `\nHAProxy does not do what the source says\n${table(differing.map((one) => [`${one.backend}/${one.server}`, difference(one)]))}`;
  return `${table(rows)}${news}\n${formatServers(servers, now)}`;
}

/** Whether HAProxy treats the server in another way than its source says. */
function differs({ source, health }: ServerStatus): boolean {
  if (source === null) return health?.condition === 'up';
  if (health === null) return true;
  return source === 'draining' ? health.condition === 'up' : health.condition !== 'up';
}

function difference({ source, order, health }: ServerStatus): string {
  const said = source === null ? 'no source names it' : `the source says ${source}`;
  if (health === null) return `${said}, HAProxy does not have it`;
  const { status, check } = health;
  const because =
    order !== null
      ? `, as an operator set it to ${order}`
      : check === null || health.condition === 'up'
        ? ''
        : `: ${check.code}, ${check.words}`;
  return `${said}, HAProxy says ${status}${because}`;
}
