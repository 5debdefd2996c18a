/** What is not well, from the status alone: one list for `myelin status --problems`, the API and the page. Pure. */
import type { Ms, Timestamp } from '../model.ts';
import { isEmpty, type StateReason, stateReasons } from './state.ts';
import type { DownServer, ServiceStatus, Status } from './status.ts';
import { commandLine } from './text/command.ts';
import { age, formatDrift, formatKept, formatReason, formatWait } from './text/format.ts';

/** bad: traffic is lost; warn: traffic flows, something is wrong; note: worth knowing. */
type Severity = 'bad' | 'warn' | 'note';

/** What makes Myelin not ready, and what is worth knowing beside it; the most important first. */
const severities = {
  nothing_applied: 'bad',
  haproxy_unresponsive: 'bad',
  service_down: 'bad',
  certificate_expired: 'bad',
  master_unresponsive: 'bad',
  waiting_for_sources: 'warn',
  source_down: 'warn',
  update_failed: 'warn',
  config_refused: 'warn',
  service_quarantined: 'warn',
  service_empty: 'warn',
  server_down: 'warn',
  service_stale: 'warn',
  endpoints_kept: 'warn',
  endpoints_refused: 'warn',
  certificate_left_out: 'warn',
  ca_file_left_out: 'warn',
  certificate_expires: 'warn',
  file_behind: 'warn',
  drift: 'warn',
  output_failed: 'warn',
  config_waits: 'note',
  reload_waits: 'note',
  server_ordered: 'note',
  service_left_out: 'note',
  route_left_out: 'note',
} as const satisfies Readonly<Record<StateReason, Severity>> & Readonly<Record<string, Severity>>;

type ProblemKind = keyof typeof severities;

export type StatusProblem = {
  readonly kind: ProblemKind;
  readonly severity: Severity;
  /** The service, source, frontend or output that it is about; null: Myelin or HAProxy as a whole. */
  readonly about: string | null;
  /** The service of `about`; null: it is about none. */
  readonly service: string | null;
  /** null: not known. */
  readonly since: Timestamp | null;
  readonly what: string;
  /** In HAProxy's or the source's words; null: `what` says it all. */
  readonly cause: string | null;
  /** The command that acts on it, or shows more, as it is pasted into a shell; null: there is none. */
  readonly command: string | null;
  /** What else can be done; null: nothing, or the command does it. */
  readonly remedy: string | null;
};

type Told = Partial<Omit<StatusProblem, 'command'>> &
  Pick<StatusProblem, 'kind' | 'what'> & { readonly command?: readonly string[] };

/** What fails within this time fails together. */
const togetherMs: Ms = 10_000;
const expiringMs: Ms = 14 * 86_400_000;
const ranks: readonly Severity[] = ['bad', 'warn', 'note'];
const kinds = Object.keys(severities);

/** The most important first. */
export function problemsOf(status: Status, now: Timestamp): readonly StatusProblem[] {
  const told: readonly Told[] = [
    ...ofMyelin(status),
    ...ofHaproxy(status),
    ...ofSources(status),
    ...ofUpdates(status, now),
    ...status.services.flatMap((service) => ofService(service, status)),
    ...ofCertificates(status, now),
    ...ofOutputs(status),
    ...ofOrders(status, now),
    ...ofLeftOut(status),
  ];
  return told
    .map(({ command, ...one }) => ({
      severity: severities[one.kind],
      about: null,
      service: null,
      since: null,
      cause: null,
      remedy: null,
      ...one,
      command: command === undefined ? null : commandLine(status.config, ...command),
    }))
    .sort(
      (a, b) => ranks.indexOf(a.severity) - ranks.indexOf(b.severity) || kinds.indexOf(a.kind) - kinds.indexOf(b.kind),
    );
}

function ofMyelin({ state, startedAt, waitingFor, lastApply }: Status): readonly Told[] {
  if (state !== 'starting') return [];
  const severity = lastApply?.error == null ? 'warn' : 'bad';
  const cause = waitingFor.length > 0 ? `no answer of ${waitingFor.join(', ')} yet` : (lastApply?.error ?? null);
  const what = stateReasons.nothing_applied;
  return [{ kind: 'nothing_applied', severity, what, since: startedAt, cause, command: ['events'] }];
}

function ofHaproxy({ haproxy }: Status): readonly Told[] {
  if (haproxy === null) return [];
  const { pid, unresponsive, masterTrouble, fileTrouble, drift } = haproxy;
  return [
    ...dated(unresponsive, {
      kind: 'haproxy_unresponsive',
      what: stateReasons.haproxy_unresponsive,
      remedy: `see what process ${pid} does (its processor, its state, its log); with \`haproxy.onHang: replace\` Myelin replaces it`,
    }),
    ...dated(masterTrouble, {
      kind: 'master_unresponsive',
      what: stateReasons.master_unresponsive,
      remedy: 'see that the master process runs',
    }),
    ...dated(fileTrouble, {
      kind: 'file_behind',
      what: stateReasons.file_behind,
      remedy: 'make the folder of the file writable',
    }),
    ...drift.map((one): Told => {
      const what = 'it is not what it should be, and `haproxy.drift: report` leaves it so';
      const about = 'server' in one ? `${one.backend}/${one.server}` : null;
      return { kind: 'drift', about, what, cause: formatDrift(one), command: ['reload'] };
    }),
  ];
}

function ofSources({ sources, waitingFor, startedAt }: Status): readonly Told[] {
  return sources.flatMap(({ name, down, synced }): readonly Told[] => {
    const remedy = `see that ${name} runs and can be reached from this machine`;
    if (down !== null) {
      const what = synced
        ? 'the source is down, its last answers serve'
        : 'the source is down, and has not answered since Myelin started';
      return dated(down, { kind: 'source_down', about: name, what, remedy });
    }
    if (!waitingFor.includes(name)) return [];
    const what = 'the source has not answered yet';
    return [{ kind: 'waiting_for_sources', about: name, what, since: startedAt, remedy }];
  });
}

function ofUpdates(status: Status, now: Timestamp): readonly Told[] {
  const { state, lastApply, refusedConfig, waitingConfig, pending } = status;
  const all: Told[] = [];
  // While nothing is applied, the cause of that is told.
  if (lastApply !== null && lastApply.error !== null && state !== 'starting') {
    const what = `the last update was ${lastApply.result}, what ran before serves`;
    const { at: since, error: cause } = lastApply;
    all.push({ kind: 'update_failed', what, since, cause, command: ['plan'] });
  }
  if (refusedConfig !== null) {
    const { since, reason: cause } = refusedConfig;
    all.push({
      kind: 'config_refused',
      what: 'a new config is refused, the old one stays',
      since,
      cause,
      command: ['check'],
    });
  }
  if (waitingConfig !== null && waitingConfig.services.length > 0) {
    const cause = `no answer about ${waitingConfig.services.slice(0, 5).join(', ')} yet`;
    all.push({ kind: 'config_waits', what: 'a new config is not live yet', since: waitingConfig.since, cause });
  }
  if (pending !== null) {
    const what = `a reload waits, for another ${age(now, pending.at)}: ${formatWait(pending.why)}`;
    const cause = pending.reasons.map(formatReason).join('; ');
    all.push({ kind: 'reload_waits', what, since: pending.since, cause, command: ['plan'] });
  }
  return all;
}

function ofService(service: ServiceStatus, status: Status): readonly Told[] {
  const { name, endpoints, unanswered, stale, kept, refused, refusedCount, quarantined, health } = service;
  const all: Told[] = [];
  const tell = (kind: ProblemKind, what: string, rest: Partial<Told> = {}): void => {
    all.push({ kind, about: name, service: name, what, command: ['why', name], ...rest });
  };
  const servers = Object.values(health?.servers ?? {}).reduce((sum, count) => sum + count, 0);
  const down = health?.servers.down ?? 0;
  const [newest] = health?.down ?? [];
  const ofDown = { since: newest?.since ?? null, cause: newest === undefined ? null : downServer(newest, down) };
  if (health?.isDown && !isEmpty(service))
    tell('service_down', 'HAProxy has no server up for it: its clients get errors', ofDown);
  else if (down > 0) tell('server_down', `${down} of its ${servers} servers ${down === 1 ? 'is' : 'are'} down`, ofDown);
  if (service.lacksEndpoints) {
    const cause = endpoints.unfit > 0 ? `${counted(endpoints.unfit, 'endpoint')}, none of which is fit to serve` : null;
    tell('service_empty', 'the sources know no endpoint of it that may serve', { cause });
  }
  if (quarantined !== null) {
    const cause = quarantined.problems.map(({ message }) => message).join('; ');
    tell('service_quarantined', 'it is quarantined: its last good structure serves on', {
      since: quarantined.since,
      cause,
    });
  }
  // A source that is down says so once: its queries fail with it, though the words of the connection may differ.
  const isOfSource = (since: Timestamp): boolean =>
    status.sources.some(({ down: its }) => its !== null && Math.abs(its.since - since) < togetherMs);
  if (stale !== null && !isOfSource(stale.since)) {
    const isUnknown = isEmpty(service) && unanswered.length > 0;
    const what = isUnknown ? 'no source has answered about it yet' : 'its endpoints may be out of date';
    tell('service_stale', what, { since: stale.since, cause: stale.reason });
  }
  if (kept !== null) {
    const serve = endpoints.kept === 1 ? 'serves' : 'serve';
    tell('endpoints_kept', `${counted(endpoints.kept, 'endpoint')} ${serve} on although ${formatKept(kept.reason)}`, {
      since: kept.since,
      command: ['accept', name],
      ...keptBy[kept.reason],
    });
  }
  const [first] = refused;
  if (first !== undefined)
    tell(
      'endpoints_refused',
      `${refusedCount} of what the sources say of it ${refusedCount === 1 ? 'is' : 'are'} refused`,
      { cause: `${first.part} ${JSON.stringify(first.id)}: ${first.reason}` },
    );
  return all;
}

const keptBy = {
  emptied: { cause: 'all of them went at once (onEmpty)' },
  shrunk: { cause: 'many of them went at once (maxShrink)' },
  config: {
    cause: 'an edit asks the sources for others, or forbids the addresses of all that they name (onEmpty)',
    remedy: 'undo the edit; if it is meant, `myelin accept --all` lets the endpoints of all services go',
  },
} as const satisfies Readonly<Record<(ServiceStatus['kept'] & {})['reason'], Partial<Told>>>;

function downServer({ server, address, reason }: DownServer, down: number): string {
  return `${server} (${address}): ${reason}${down > 1 ? `, and ${down - 1} more` : ''}`;
}

function ofCertificates({ certificates, caFiles }: Status, now: Timestamp): readonly Told[] {
  const ends = (about: string, what: string, notAfter: Timestamp | null, remedy: string): readonly Told[] => {
    if (notAfter === null || notAfter - now > expiringMs) return [];
    return notAfter <= now
      ? [{ kind: 'certificate_expired', about, what: `${what} has expired`, since: notAfter, remedy }]
      : [{ kind: 'certificate_expires', about, what: `${what} expires in ${age(now, notAfter)}`, remedy }];
  };
  return [
    ...certificates.flatMap(({ frontend, name, file, notAfter, problem }): readonly Told[] => {
      const about = `${frontend}/${name}`;
      const leftOut = { kind: 'certificate_left_out', about, what: stateReasons.certificate_left_out } as const;
      return [
        ...(problem === null ? [] : [{ ...leftOut, cause: `${file ?? name}: ${problem}`, remedy: `mend ${file}` }]),
        ...(file === null ? [] : ends(about, 'the certificate', notAfter, `renew ${file}: it is read when it changes`)),
      ];
    }),
    ...caFiles.flatMap(({ frontend, file, notAfter, problem }): readonly Told[] => {
      const about = frontend ?? 'servers';
      const leftOut = { kind: 'ca_file_left_out', about, what: stateReasons.ca_file_left_out } as const;
      return [
        ...(problem === null ? [] : [{ ...leftOut, cause: `${file}: ${problem}`, remedy: `mend ${file}` }]),
        ...ends(about, 'a CA certificate', notAfter, `renew what stands in ${file}`),
      ];
    }),
  ];
}

function ofOutputs({ outputs }: Status): readonly Told[] {
  return outputs.flatMap(({ name, path, failed }) =>
    dated(failed, {
      kind: 'output_failed',
      about: name,
      what: `the output ${path} failed (${failed?.step}), HAProxy is not affected`,
    }),
  );
}

function ofOrders({ orders }: Status, now: Timestamp): readonly Told[] {
  return orders.map(({ backend, server, state, since, until }) => ({
    kind: 'server_ordered',
    about: `${backend}/${server}`,
    service: backend,
    what: `an operator set it to ${state}${until === null ? '' : `, for another ${age(now, until)}`}`,
    since,
    command: ['server', 'ready', `${backend}/${server}`],
  }));
}

function ofLeftOut({ unserved, routesLeftOut }: Status): readonly Told[] {
  return [
    ...unserved.map(
      ({ watcher, service, reason }): Told => ({
        kind: 'service_left_out',
        about: service,
        what: `${watcher} offers it, and it is left out`,
        cause: reason,
        command: ['why', service],
      }),
    ),
    ...routesLeftOut.map(
      ({ service, frontend, route, holder }): Told => ({
        kind: 'route_left_out',
        about: service,
        service,
        what: `its route ${route} of ${frontend} is left out`,
        cause: `${holder} has it`,
        command: ['why', service],
      }),
    ),
  ];
}

function dated(trouble: { readonly reason: string; readonly since: Timestamp } | null, told: Told): readonly Told[] {
  return trouble === null ? [] : [{ ...told, since: trouble.since, cause: trouble.reason }];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
