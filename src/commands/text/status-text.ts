/** The status for people. */
import { styleText } from 'node:util';
import type { CaFileState } from '../../certificates/ca-files.ts';
import type { Timestamp } from '../../model.ts';
import { stateReasons } from '../../report/state.ts';
import type {
  CertificateStatus,
  HAProxyStatus,
  OutputStatus,
  ServiceHealth,
  ServiceStatus,
  SourceStatus,
  Status,
} from '../../report/status.ts';
import { age, formatDrift, formatReason, formatWait, table } from '../../report/text/format.ts';
import { printableLines } from '../../report/text/printable.ts';
import { ofNobody, problemText } from '../../report/text/problem-text.ts';

export function formatStatus(raw: Status, now: Timestamp): string {
  const status = readable(raw);
  const { haproxy, lastApply, lastReload, pending, refusedConfig, waitingConfig, waitingFor } = status;
  const rows: [string, string][] = [
    ['myelin', `${status.version}, ${coloured(status.state)}, for ${age(status.startedAt, now)}`],
    ...whyNotReady(status),
  ];
  if (haproxy !== null) {
    const old = haproxy.oldWorkers.length;
    const others =
      old === 0 ? '' : `, ${old} old ${old === 1 ? 'process finishes its' : 'processes finish their'} connections`;
    rows.push(['HAProxy', `${haproxy.version}, pid ${haproxy.pid}, for ${age(haproxy.since, now)}${others}`]);
  }
  if (waitingFor.length > 0) rows.push(['waits for', waitingFor.join(', ')]);
  if (lastApply !== null) {
    const what = [...lastApply.reasons.map(formatReason), ...lastApply.backends];
    rows.push([
      'last apply',
      `${lastApply.result} ${age(lastApply.at, now)} ago: ${lastApply.error ?? what.join('; ')}`,
    ]);
  }
  // Where the last update was a reload, it stands there already.
  if (lastReload !== null && lastReload.at !== lastApply?.at)
    rows.push(['last reload', `${age(lastReload.at, now)} ago: ${lastReload.reasons.map(formatReason).join('; ')}`]);
  if (pending !== null) {
    const wanted = pending.reasons.map(formatReason).join('; ');
    rows.push(['pending', `reload in ${age(now, pending.at)}: ${formatWait(pending.why)}; wanted as ${wanted}`]);
  }
  for (const row of haproxy === null ? [] : describeDeviations(haproxy, now)) rows.push(row);
  for (const { backend, server, state, until } of status.orders)
    rows.push(['override', `${backend}/${server} ${state}${until === null ? '' : ` for another ${age(now, until)}`}`]);
  if (refusedConfig !== null)
    rows.push(['config', `refused ${age(refusedConfig.since, now)} ago: ${refusedConfig.reason}`]);
  if (waitingConfig !== null && waitingConfig.services.length > 0)
    rows.push([
      'config',
      `a new one waits for answers about ${waitingConfig.services.join(', ')}, for ${age(waitingConfig.since, now)}`,
    ]);
  const sources = status.sources.map((source): [string, string] => [source.name, describeSource(source, now)]);
  const services = status.services.map((service): [string, string] => [service.name, describeService(service, now)]);
  const outputs = status.outputs.map((output): [string, string] => [output.name, describeOutput(output, now)]);
  const files = outputs.length === 0 ? '' : `\noutputs\n${table(outputs)}`;
  const unserved = status.unserved.map(({ service, watcher, reason }): [string, string] => [
    service,
    `discovered by ${watcher}: ${reason}`,
  ]);
  const more = status.sources.reduce((sum, source) => sum + source.unserved, 0) - unserved.length;
  if (more > 0) unserved.push([`and ${more} more`, '']);
  for (const { service, frontend, route, holder } of status.routesLeftOut)
    unserved.push([service, `its route ${route} of ${frontend}: ${holder} has it`]);
  const moreRoutes = status.frontends.reduce((sum, each) => sum + each.leftOut, 0) - status.routesLeftOut.length;
  if (moreRoutes > 0) unserved.push([`and ${moreRoutes} more routes`, '']);
  const certificates = status.certificates.map((each): [string, string] => [
    `${each.frontend}/${each.name}`,
    describeCertificate(each, now),
  ]);
  for (const each of status.caFiles)
    certificates.push([`CA ${each.frontend ?? 'of servers'}`, describeCaFile(each, now)]);
  const secure = certificates.length === 0 ? '' : `\ncertificates\n${table(certificates)}`;
  const frontends = status.frontends.map(({ name, routes, leftOut: left }): [string, string] => [
    name,
    `${routes} ${routes === 1 ? 'route' : 'routes'}${left === 0 ? '' : `, ${left} left out`}`,
  ]);
  const shared = frontends.length === 0 ? '' : `\nfrontends\n${table(frontends)}`;
  const leftOut = unserved.length === 0 ? '' : `\nleft out\n${table(unserved)}`;
  return `${table(rows)}\nsources\n${table(sources)}\nservices\n${table(services)}${shared}${secure}${files}${leftOut}`;
}

function whyNotReady({ stateReasons: reasons }: Status): readonly [string, string][] {
  return reasons.map((reason, at) => [at === 0 ? 'because' : '', stateReasons[reason]]);
}

function describeDeviations(
  { drift, unresponsive, masterTrouble, fileTrouble }: HAProxyStatus,
  now: Timestamp,
): [string, string][] {
  const silent: [string, string][] =
    unresponsive === null
      ? []
      : [['HAProxy', `unresponsive for ${age(unresponsive.since, now)}: ${unresponsive.reason}`]];
  const master: [string, string][] =
    masterTrouble === null ? [] : [['master', `silent for ${age(masterTrouble.since, now)}: ${masterTrouble.reason}`]];
  const behind: [string, string][] =
    fileTrouble === null ? [] : [['file', `behind for ${age(fileTrouble.since, now)}: ${fileTrouble.reason}`]];
  return [...silent, ...master, ...behind, ...drift.map((each): [string, string] => ['drift', formatDrift(each)])];
}

function describeSource({ state, down }: SourceStatus, now: Timestamp): string {
  return down === null ? state : `${state} for ${age(down.since, now)}: ${down.reason}`;
}

function describeOutput({ path, state, failed, writtenAt }: OutputStatus, now: Timestamp): string {
  switch (state) {
    case 'waiting':
      return `${path} waits until every service is known`;
    case 'current':
      return writtenAt === null ? `${path} is current` : `${path} is current, written ${age(writtenAt, now)} ago`;
    case 'failed':
      return failed === null
        ? `${path} failed`
        : `${path} failed for ${age(failed.since, now)} (${failed.step}): ${failed.reason}`;
  }
}

export function describeCertificate(
  { file, names, notAfter, isDefault, problem }: CertificateStatus,
  now: Timestamp,
): string {
  const served =
    notAfter === null
      ? 'left out'
      : [
          file === null ? 'self-signed, as there is no other' : names.join(', '),
          notAfter <= now ? `expired ${age(notAfter, now)} ago` : `for another ${age(now, notAfter)}`,
          ...(isDefault ? ['for all other names'] : []),
        ].join(', ');
  if (problem === null) return served;
  return `${served}${notAfter === null ? ':' : ', an earlier one:'} ${file ?? ''}: ${problem}`;
}

function describeCaFile({ file, subjects, notAfter, problem }: CaFileState, now: Timestamp): string {
  const inForce =
    notAfter === null
      ? `${file}: nobody is verified by it`
      : `${file}: ${subjects.join('; ')}, ${notAfter <= now ? `one expired ${age(notAfter, now)} ago` : `for another ${age(now, notAfter)}`}`;
  return problem === null ? inForce : `${inForce}${notAfter === null ? '' : ', an earlier content'}: ${problem}`;
}

export function describeService(service: ServiceStatus, now: Timestamp): string {
  const { name, endpoints, unanswered, stale, kept, refused, refusedCount, quarantined, health } = service;
  const counts = Object.entries(endpoints).flatMap(([state, count]) => (count > 0 ? [`${count} ${state}`] : []));
  const notes = [
    ...(unanswered.length === 0 ? [] : [`no answer from ${unanswered.join(', ')} yet`]),
    ...(stale === null ? [] : [`stale for ${age(stale.since, now)}: ${stale.reason}`]),
    ...(kept === null ? [] : [describeKept(kept, name, endpoints.kept, now)]),
    ...(quarantined === null ? [] : [describeQuarantine(quarantined)]),
    ...refused.map(({ id, part, reason }) => `${part} ${JSON.stringify(id)} is left out: ${reason}`),
    ...(refusedCount > refused.length
      ? [`${refusedCount - refused.length} more entries, tags or meta values are left out`]
      : []),
    ...(health === null ? [] : describeHealth(health, now)),
  ];
  return [counts.length === 0 ? 'no endpoints' : counts.join(', '), ...notes].join('\n');
}

/** What the sources say stands before it: a difference is the news. */
function describeHealth({ isDown, servers, queued, down }: ServiceHealth, now: Timestamp): readonly string[] {
  const counts = Object.entries(servers).flatMap(([condition, count]) => (count > 0 ? [`${count} ${condition}`] : []));
  const waiting = queued === 0 ? '' : `, ${queued} ${queued === 1 ? 'request waits' : 'requests wait'} for a server`;
  const said = counts.length === 0 ? 'no servers' : counts.join(', ');
  const more = servers.down - down.length;
  return [
    `HAProxy: ${isDown ? `${styleText('red', 'DOWN', { stream: process.stdout })}, ` : ''}${said}${waiting}`,
    ...down.map(
      ({ backend, server, address, since, reason }) =>
        `${backend}/${server} (${address}) is down for ${age(since, now)}: ${reason}`,
    ),
    ...(more > 0 ? [`${more} more servers are down`] : []),
  ];
}

function describeQuarantine({ problems, servers }: ServiceStatus['quarantined'] & {}): string {
  const serve =
    servers === null ? '' : ` (HAProxy has ${servers} ${servers === 1 ? 'server' : 'servers'} of it in service)`;
  return `quarantined${serve}: ${problemText(ofNobody(problems))}`;
}

function describeKept(
  { reason, since, until }: ServiceStatus['kept'] & {},
  service: string,
  count: number,
  now: Timestamp,
): string {
  const still = until === null ? '' : ` for another ${age(now, until)}`;
  const remedy = `\`myelin accept ${service}\` lets them go`;
  switch (reason) {
    case 'emptied':
      return `loss of all endpoints ${age(since, now)} ago, retaining the last ones${still} (onEmpty); ${remedy}`;
    case 'config':
      return `the config leaves it without endpoints since ${age(since, now)} ago, retaining ${count}${still} (onEmpty); undo the edit, or ${remedy} (--all: of all services)`;
    case 'shrunk':
      return `large loss of endpoints ${age(since, now)} ago, retaining ${count}${still} (maxShrink); ${remedy}`;
  }
}

function coloured(state: Status['state']): string {
  const colours = { starting: 'yellow', ready: 'green', degraded: 'red', unresponsive: 'red' } as const;
  return styleText(colours[state], state, { stream: process.stdout });
}

/** Names and reasons come from anyone who may register: no control character of theirs reaches a terminal. */
export function readable<T>(status: T): T {
  return JSON.parse(JSON.stringify(status), (_, value: unknown) =>
    typeof value === 'string' ? printableLines(value) : value,
  ) as T;
}
