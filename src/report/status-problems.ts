/** What is not well, from the status alone: the same for `myelin status --problems` and the page. Pure. */
import type { Ms, Timestamp } from '../model.ts';
import { stateReasons } from './state.ts';
import type { ServiceStatus, Status } from './status.ts';
import { formatDrift } from './text/format.ts';

export type StatusProblem = {
  /** The service, source, frontend or output that it is about; null: Myelin or HAProxy as a whole. */
  readonly about: string | null;
  /** null: not known. */
  readonly since: Timestamp | null;
  readonly what: string;
  /** In HAProxy's or the source's words; null: `what` says it all. */
  readonly cause: string | null;
  /** The command that acts on it, or shows more; null: there is none. */
  readonly command: string | null;
  /** What else can be done; null: nothing, or the command does it. */
  readonly remedy: string | null;
};

type Told = Partial<StatusProblem> & Pick<StatusProblem, 'what'>;

const expiringMs: Ms = 14 * 86_400_000;

/** The most important first. */
export function problemsOf(status: Status, now: Timestamp): readonly StatusProblem[] {
  const told: readonly Told[] = [
    ...ofMyelin(status),
    ...ofHaproxy(status),
    ...ofSources(status),
    ...ofUpdates(status),
    ...status.services.flatMap((service) => ofService(service, status)),
    ...ofCertificates(status, now),
    ...ofOutputs(status),
    ...ofLeftOut(status),
    ...ofOrders(status),
  ];
  return told.map((one) => ({ about: null, since: null, cause: null, command: null, remedy: null, ...one }));
}

function ofMyelin({ state, startedAt, waitingFor, lastApply }: Status): readonly Told[] {
  if (state !== 'starting') return [];
  const cause = waitingFor.length > 0 ? `no answer of ${waitingFor.join(', ')} yet` : (lastApply?.error ?? null);
  return [{ what: stateReasons.nothing_applied, since: startedAt, cause, command: 'myelin events' }];
}

function ofHaproxy({ haproxy }: Status): readonly Told[] {
  if (haproxy === null) return [];
  const { unresponsive, masterTrouble, fileTrouble, drift } = haproxy;
  return [
    ...dated(unresponsive, {
      what: stateReasons.haproxy_unresponsive,
      remedy: 'with `haproxy.onHang: replace` Myelin replaces it; its processor and its log say what it does',
    }),
    ...dated(masterTrouble, { what: stateReasons.master_unresponsive, remedy: 'see that the master process runs' }),
    ...dated(fileTrouble, { what: stateReasons.file_behind, remedy: 'make the folder of the file writable' }),
    ...drift.map((one) => ({ what: stateReasons.drift, cause: formatDrift(one), command: 'myelin reload' })),
  ];
}

function ofSources({ sources }: Status): readonly Told[] {
  return sources.flatMap(({ name, down }) =>
    dated(down, {
      about: name,
      what: 'the source is down, its last answers serve',
      remedy: `see that ${name} runs and can be reached from this machine`,
    }),
  );
}

function ofUpdates({ lastApply, refusedConfig }: Status): readonly Told[] {
  const failed =
    lastApply === null || lastApply.error === null
      ? []
      : [
          {
            what: `the last update was ${lastApply.result}, what ran before serves`,
            since: lastApply.at,
            cause: lastApply.error,
            command: 'myelin plan',
          },
        ];
  const refused = dated(refusedConfig, {
    what: 'a new config is refused, the old one stays',
    command: 'myelin check',
  });
  return [...failed, ...refused];
}

function ofService(service: ServiceStatus, status: Status): readonly Told[] {
  const { name: about, endpoints, unanswered, stale, kept, refused, refusedCount, quarantined, health } = service;
  const command = `myelin why ${about}`;
  const isEmpty = endpoints.ready + endpoints.draining + endpoints.kept === 0;
  const [newest] = health?.down ?? [];
  const downs = health === null || health.servers.down === 0 ? null : health;
  const all = Object.values(health?.servers ?? {}).reduce((sum, count) => sum + count, 0);
  const [first] = refused;
  return [
    ...(health?.isDown && !isEmpty
      ? [
          {
            about,
            what: 'HAProxy has no server up for it: its clients get errors',
            since: newest?.since ?? null,
            cause: newest === undefined ? null : `${newest.server} (${newest.address}): ${newest.reason}`,
            command: `myelin servers ${about}`,
          },
        ]
      : []),
    ...(isEmpty && unanswered.length === 0 ? [{ about, what: 'the sources know no endpoint of it', command }] : []),
    ...dated(
      quarantined === null
        ? null
        : { since: quarantined.since, reason: quarantined.problems.map(({ message }) => message).join('; ') },
      { about, what: 'it is quarantined with its last good structure', command },
    ),
    ...(downs !== null && !downs.isDown
      ? [
          {
            about,
            what: `${downs.servers.down} of its ${all} servers are down`,
            since: newest?.since ?? null,
            cause: newest === undefined ? null : `${newest.server} (${newest.address}): ${newest.reason}`,
            command: `myelin servers ${about}`,
          },
        ]
      : []),
    // A source that is down says so once.
    ...(stale === null || status.sources.some(({ down }) => down?.reason === stale.reason)
      ? []
      : dated(stale, { about, what: 'its endpoints may be out of date', command })),
    ...(kept === null
      ? []
      : [
          {
            about,
            what: `${endpoints.kept} endpoints serve on that no source names any more`,
            since: kept.since,
            cause: kept.reason === 'emptied' ? 'all of them went at once' : 'many of them went at once',
            command: `myelin accept ${about}`,
          },
        ]),
    ...(first === undefined
      ? []
      : [
          {
            about,
            what: `${refusedCount} of what the sources say of it ${refusedCount === 1 ? 'is' : 'are'} refused`,
            cause: `${first.part} ${JSON.stringify(first.id)}: ${first.reason}`,
            command,
          },
        ]),
  ];
}

function ofCertificates({ certificates, caFiles }: Status, now: Timestamp): readonly Told[] {
  const ends = (notAfter: Timestamp): string => (notAfter <= now ? 'has expired' : 'expires within 14 days');
  return [
    ...certificates.flatMap(({ frontend, name, file, notAfter, problem }) => {
      const about = `${frontend}/${name}`;
      return [
        ...(problem === null
          ? []
          : [{ about, what: stateReasons.certificate_left_out, cause: `${file}: ${problem}`, remedy: `mend ${file}` }]),
        ...(file === null || notAfter === null || notAfter - now > expiringMs
          ? []
          : [
              { about, what: `the certificate ${ends(notAfter)}`, remedy: `renew ${file}: it is read when it changes` },
            ]),
      ];
    }),
    ...caFiles.flatMap(({ frontend, file, notAfter, problem }) => {
      const about = frontend ?? 'servers';
      return [
        ...(problem === null
          ? []
          : [{ about, what: stateReasons.ca_file_left_out, cause: `${file}: ${problem}`, remedy: `mend ${file}` }]),
        ...(notAfter === null || notAfter - now > expiringMs
          ? []
          : [{ about, what: `a CA certificate ${ends(notAfter)}`, remedy: `renew what stands in ${file}` }]),
      ];
    }),
  ];
}

function ofOutputs({ outputs }: Status): readonly Told[] {
  return outputs.flatMap(({ name, failed }) =>
    dated(failed, { about: name, what: `the output failed (${failed?.step}), HAProxy is not affected`, remedy: null }),
  );
}

function ofLeftOut({ unserved, routesLeftOut }: Status): readonly Told[] {
  return [
    ...unserved.map(({ watcher, service, reason }) => ({
      about: service,
      what: `${watcher} offers it, and it is left out`,
      cause: reason,
      command: `myelin why ${service}`,
    })),
    ...routesLeftOut.map(({ service, frontend, route, holder }) => ({
      about: service,
      what: `its route ${route} of ${frontend} is left out`,
      cause: `${holder} has it`,
      command: `myelin why ${service}`,
    })),
  ];
}

function ofOrders({ orders }: Status): readonly Told[] {
  return orders.map(({ backend, server, state, since }) => ({
    about: backend,
    what: `an operator set ${server} to ${state}`,
    since,
    command: `myelin server ready ${backend}/${server}`,
  }));
}

function dated(trouble: { readonly reason: string; readonly since: Timestamp } | null, told: Told): readonly Told[] {
  return trouble === null ? [] : [{ ...told, since: trouble.since, cause: trouble.reason }];
}
