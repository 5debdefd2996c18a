/** What is wrong, the worst first: since when, why in HAProxy's or the source's words, and the command that acts. Pure. */
import type { Ms, Timestamp } from '../../../model.ts';
import type { ServiceStatus, Status } from '../../../report/status.ts';
import { formatDrift, formatWait } from '../../../report/text/format.ts';
import { commandLine } from './command.ts';
import { judge } from './services.ts';
import { count, type Tone } from './words.ts';

export type Problem = {
  readonly id: string;
  readonly tone: Tone;
  /** In one or two words. */
  readonly kind: string;
  readonly subject: string;
  /** null: not known. */
  readonly since: Timestamp | null;
  readonly cause: string;
  /** What can be done, as a command; null: nothing by command. */
  readonly command: string | null;
  /** The service that it is about. */
  readonly service?: string;
};

const soonMs: Ms = 14 * 86_400_000;
const ranks: Readonly<Record<Tone, number>> = { bad: 0, warn: 1, note: 2, good: 3 };

type Command = (...words: readonly string[]) => string;

export function problemsOf(status: Status, now: Timestamp): readonly Problem[] {
  const command: Command = (...words) => commandLine(status.config, ...words);
  return [
    ...ofHaproxy(status, command),
    ...ofSources(status),
    ...ofUpdates(status, command),
    ...status.services.flatMap((service) => ofService(service, command, status.stateReasons.includes('service_empty'))),
    ...ofCertificates(status, now),
    ...ofRest(status, command),
  ].sort((a, b) => ranks[a.tone] - ranks[b.tone] || (b.since ?? 0) - (a.since ?? 0));
}

function ofHaproxy({ haproxy, stateReasons }: Status, command: Command): readonly Problem[] {
  if (haproxy === null) return [];
  const { unresponsive, masterTrouble, fileTrouble, drift, pid } = haproxy;
  const of = (id: string, kind: string, tone: Tone, trouble: typeof unresponsive): Problem[] =>
    trouble === null
      ? []
      : [{ id, tone, kind, subject: 'HAProxy', since: trouble.since, cause: trouble.reason, command: null }];
  return [
    ...of('unresponsive', `pid ${pid} does not answer`, 'bad', unresponsive),
    ...of('master', 'master does not answer', 'bad', masterTrouble),
    ...of('file', 'config file is behind', 'warn', fileTrouble),
    ...(stateReasons.includes('drift')
      ? drift.slice(0, 5).map((each): Problem => {
          const subject = formatDrift(each);
          return {
            id: `drift ${subject}`,
            tone: 'warn',
            kind: 'drift',
            subject,
            since: null,
            cause: 'It is not what it should be, and `drift: report` leaves it so.',
            command: command('reload'),
          };
        })
      : []),
  ];
}

function ofSources({ sources }: Status): readonly Problem[] {
  return sources.flatMap(({ name, down }): Problem[] =>
    down === null
      ? []
      : [
          {
            id: `source ${name}`,
            tone: 'warn',
            kind: 'unreachable',
            subject: name,
            since: down.since,
            cause: `${down.reason}. Its last answers serve; Myelin keeps asking.`,
            command: null,
          },
        ],
  );
}

function ofUpdates(
  { lastApply, refusedConfig, waitingConfig, pending, haproxy }: Status,
  command: Command,
): readonly Problem[] {
  const all: Problem[] = [];
  if (lastApply?.error != null)
    all.push({
      id: 'update',
      tone: haproxy === null ? 'bad' : 'warn',
      kind: lastApply.result === 'rejected' ? 'rejected' : 'failed',
      subject: 'the last update',
      since: lastApply.at,
      cause: lastApply.error,
      command: command('plan'),
    });
  if (refusedConfig !== null)
    all.push({
      id: 'config',
      tone: 'warn',
      kind: 'refused',
      subject: 'the new config',
      since: refusedConfig.since,
      cause: refusedConfig.reason,
      command: command('check'),
    });
  if (waitingConfig !== null && waitingConfig.services.length > 0)
    all.push({
      id: 'waiting config',
      tone: 'note',
      kind: 'waits',
      subject: 'the new config',
      since: waitingConfig.since,
      cause: `It waits for answers about ${waitingConfig.services.slice(0, 5).join(', ')}.`,
      command: null,
    });
  if (pending !== null)
    all.push({
      id: 'pending',
      tone: 'note',
      kind: 'waits',
      subject: 'a reload',
      since: null,
      cause: formatWait(pending.why),
      command: null,
    });
  return all;
}

/** `emptyIsWrong`: to have no endpoint is not as it should be for some service. */
function ofService(service: ServiceStatus, command: Command, emptyIsWrong: boolean): readonly Problem[] {
  const { name, endpoints, stale, kept, refused, quarantined, health, unanswered } = service;
  const problem = (kind: string, rest: Pick<Problem, 'since' | 'cause'> & Partial<Problem>): Problem => ({
    id: `${kind} ${name}`,
    tone: 'warn',
    kind,
    subject: name,
    service: name,
    command: command('why', name),
    ...rest,
  });
  const all: Problem[] = [];
  const judged = judge(service);
  const down = health?.down ?? [];
  const [first] = down;
  if (judged === 'down')
    all.push(
      problem('no server up', {
        tone: 'bad',
        since: first?.since ?? null,
        cause: first === undefined ? 'HAProxy sends it no request.' : ofDown(first, health?.servers.down ?? 1),
      }),
    );
  else if (first !== undefined && health !== null)
    all.push(
      problem(`${health.servers.down} of ${health.servers.up + health.servers.down} down`, {
        id: `partly ${name}`,
        since: first.since,
        cause: ofDown(first, health.servers.down),
      }),
    );
  if (quarantined !== null)
    all.push(
      problem('quarantined', {
        since: quarantined.since,
        cause: quarantined.problems.map(({ message }) => message).join('; '),
        command: command('check'),
      }),
    );
  if (judged === 'empty' && emptyIsWrong)
    all.push(problem('no endpoint', { since: null, cause: 'The sources know no endpoint of it.' }));
  if (stale !== null && unanswered.length === 0)
    all.push(problem('stale', { since: stale.since, cause: `${stale.reason}. The last answer serves.` }));
  if (kept !== null)
    all.push(
      problem('retained', {
        since: kept.since,
        cause: `${count(endpoints.kept, 'endpoint')} serve on although no source names them any more (${
          kept.reason === 'emptied' ? 'onEmpty' : 'maxShrink'
        }).`,
        command: command('accept', name),
      }),
    );
  const [left] = refused.filter(({ part }) => part === 'endpoint');
  if (left !== undefined && endpoints.refused > 0)
    all.push(
      problem(`${endpoints.refused} refused`, {
        id: `refused ${name}`,
        since: null,
        cause: `${left.id}: ${left.reason}`,
      }),
    );
  return all;
}

function ofDown(
  first: { readonly server: string; readonly address: string; readonly reason: string },
  all: number,
): string {
  const more = all > 1 ? `, and ${all - 1} more` : '';
  return `${first.server} (${first.address}): ${first.reason}${more}`;
}

function ofCertificates({ certificates, caFiles }: Status, now: Timestamp): readonly Problem[] {
  return [
    ...certificates.flatMap(({ frontend, name, notAfter, problem, file }): Problem[] => {
      const subject = `${frontend}/${name}`;
      const base = { id: `certificate ${subject}`, subject, since: null, command: null };
      if (problem !== null)
        return [{ ...base, tone: 'warn', kind: 'certificate left out', cause: `${file ?? name}: ${problem}` }];
      if (notAfter === null || file === null || notAfter - now > soonMs) return [];
      const days = Math.floor((notAfter - now) / 86_400_000);
      const isOver = notAfter <= now;
      return [
        {
          ...base,
          tone: isOver ? 'bad' : 'warn',
          kind: isOver ? 'certificate expired' : `certificate expires in ${count(days, 'day')}`,
          cause: `Myelin takes the new content of ${file} as soon as it is there.`,
        },
      ];
    }),
    ...caFiles.flatMap(({ file, problem }): Problem[] =>
      problem === null
        ? []
        : [
            {
              id: `ca ${file}`,
              tone: 'warn',
              kind: 'CA file left out',
              subject: file,
              since: null,
              cause: problem,
              command: null,
            },
          ],
    ),
  ];
}

function ofRest(
  { orders, outputs, unserved, sources, routesLeftOut, frontends }: Status,
  command: Command,
): readonly Problem[] {
  const leftOut = sources.reduce((sum, source) => sum + source.unserved, 0);
  const conflicts = frontends.reduce((sum, frontend) => sum + frontend.leftOut, 0);
  const [service] = unserved;
  const [route] = routesLeftOut;
  return [
    ...orders.map(
      ({ backend, server, state, since }): Problem => ({
        id: `order ${backend}/${server}`,
        tone: 'note',
        kind: state === 'maint' ? 'in maintenance' : 'draining',
        subject: `${backend}/${server}`,
        service: backend,
        since,
        cause: 'An operator ordered it.',
        command: command('server', 'ready', `${backend}/${server}`),
      }),
    ),
    ...outputs.flatMap(({ name, path, failed }): Problem[] =>
      failed === null
        ? []
        : [
            {
              id: `output ${name}`,
              tone: 'warn',
              kind: `output failed (${failed.step})`,
              subject: name,
              since: failed.since,
              cause: `${path}: ${failed.reason}`,
              command: null,
            },
          ],
    ),
    ...(service === undefined
      ? []
      : [
          {
            id: 'unserved',
            tone: 'note' as const,
            kind: 'left out',
            subject: count(leftOut, 'discovered service'),
            since: null,
            cause: `${service.service}: ${service.reason}`,
            command: command('why', service.service),
          },
        ]),
    ...(route === undefined
      ? []
      : [
          {
            id: 'routes',
            tone: 'note' as const,
            kind: 'left out',
            subject: count(conflicts, 'route'),
            since: null,
            cause: `${route.route} of ${route.frontend}, which ${route.service} wants: ${route.holder} has it`,
            command: command('why', route.service),
          },
        ]),
  ];
}
