/**
 * The plain, readonly values that travel along the picture: watchers → catalog → render → plan → apply.
 * Stages know these types and not each other.
 */
import type { ErrorCode } from './errors.ts';

/** A span of time in milliseconds. */
export type Ms = number;

declare const clock: unique symbol;

/**
 * A moment in milliseconds on the steady clock (`clock.ts`), which `main` hands to the pure stages as `now`. It reads like
 * a time of day, and is none: what is shown or written down is a `Timestamp`.
 */
export type Moment = number & { readonly [clock]?: 'steady' };

/** A time of day in milliseconds since 1970, UTC. */
export type Timestamp = number & { readonly [clock]?: 'wall' };

/** The largest weight that HAProxy takes. */
export const maxWeight = 256;

/** One address and port at which a service answers, as a watcher found it. Not yet trusted: the catalog validates. */
export type Endpoint = {
  /** Identity at the source (Consul node and service id, pod, name in a file); the server's name is made from it. */
  readonly id: string;
  /** An IPv4 or IPv6 literal, without brackets. */
  readonly address: string;
  /** 1–65535. */
  readonly port: number;
  /** HAProxy's weight, 0–256; a draining endpoint is rendered with weight 0 whatever stands here. */
  readonly weight: number;
  /** `draining` gets no new connections but finishes those it has. */
  readonly state: 'ready' | 'draining';
  /** Free words from the source, for templates; never used as configuration by themselves. */
  readonly tags?: readonly string[];
  readonly meta?: Readonly<Record<string, string>>;
  /** Where it was found, for templates. */
  readonly origin?: EndpointOrigin;
};

/** Where an endpoint was found: its `watcher`, which the catalog adds, and what that watcher says of the place. */
export type EndpointOrigin = Readonly<Partial<Record<(typeof originFields)[number], string>>>;

export const originFields = ['watcher', 'datacenter', 'namespace', 'node', 'zone'] as const;

/** Something in a source that its watcher cannot make an endpoint of, and why, with its place where it has one. */
export type Unreadable = { readonly id: string; readonly reason: string };

/** An endpoint that the source names but that must get no traffic: critical, not ready, for another zone. */
export type Unfit = Pick<Endpoint, 'id' | 'address' | 'port'>;

/** What a source says of one instance of a service, whether it gets traffic or not. */
export type SourceInstance = {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Why it gets no traffic; null: it gets some, or finishes what it has. */
  readonly unfit: string | null;
  /** What else the source says of it, such as its checks. */
  readonly said: readonly string[];
};

/** What a source says of a service when it is asked, for people. */
export type SourceAnswer = {
  /** Why it gives no endpoints, whatever the instances, and what can be done; null: that depends on them. */
  readonly unfit: { readonly reason: string; readonly remedy: string | null } | null;
  /** What else it says of the service as a whole. */
  readonly said: readonly string[];
  readonly instances: readonly SourceInstance[];
};

/**
 * A service of a source that the config does not list. Not yet trusted: its own settings count only within limits that
 * the config sets (`discover`).
 */
export type DiscoveredService = {
  /** Names the results about its endpoints; unique among all keys of the watcher. */
  readonly key: string;
  /** What it is called in HAProxy. */
  readonly name: string;
  /** Those who may create the service, such as a namespace: each owner has a limit of services. */
  readonly owner: string;
  /** When the service was created at the source: of two that claim the same, the older one gets it. */
  readonly createdAt: Timestamp;
  /** The service's own options: texts by name. */
  readonly options: Readonly<Record<string, string>>;
};

/** One query to a source; `settings` are the watcher's own (already validated by its schema). */
export type Query<Settings = unknown> = {
  /** Names the result in every update; unique within one watcher. */
  readonly key: string;
  readonly settings: Settings;
};

/** What a watcher yields: whole truths, never deltas. Order, duplicates and equal repeats are allowed. */
export type Update =
  /**
   * All endpoints of one query; `[]` is confirmed by a second, consistent read. `unfit`: those that exist but must
   * not be used: when such an endpoint stops serving, that is no suspicious loss.
   * `unreadable`: entries that were left out, for people to repair.
   */
  | {
      readonly kind: 'endpoints';
      readonly key: string;
      readonly endpoints: readonly Endpoint[];
      readonly unreadable?: readonly Unreadable[];
      readonly unfit?: readonly Unfit[];
    }
  /**
   * All services that a query for many finds, sent before results about their endpoints. One that does not exist any
   * more leaves the list when it has been `gone`.
   */
  | { readonly kind: 'discovered'; readonly key: string; readonly services: readonly DiscoveredService[] }
  /** What was asked for does not exist any more (not: has no endpoints). */
  | { readonly kind: 'gone'; readonly key: string }
  /**
   * This query fails, others may not; the last result stays in use. `isUnanswerable`: the source is not in
   * trouble, but the query does not fit its data. That counts as answered for `synced`.
   */
  | { readonly kind: 'stale'; readonly key: string; readonly reason: string; readonly isUnanswerable?: true }
  /** Every query, and with one for many every service that it found, has been answered once since `watch` was called. */
  | { readonly kind: 'synced' };

/**
 * A source of endpoints. It throws when the whole source fails, ends promptly when `signal` aborts, bounds its own
 * silence and leaves no socket, timer or listener behind. It never logs, filters by policy or keeps history.
 */
export type Watch<Settings = unknown> = (
  queries: readonly Query<Settings>[],
  signal: AbortSignal,
) => AsyncIterable<Update>;

/** What the catalog receives: a watcher's updates, and its starts and failures as seen by its supervisor. */
export type SourceEvent = { readonly watcher: string } & (
  | Update
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryInMs: Ms }
);

/**
 * A piece of `haproxy.cfg` from one section keyword to the next; or a file of its own beside it, such as a map, whose name
 * is its path (`src/haproxy/text/layout/files.ts`).
 */
export type Section = {
  /** HAProxy's section keyword (`global`, `defaults`, `frontend`, `backend`, `listen`, …); '' for what precedes the first. */
  readonly kind: string;
  /** '' where the section has no name. */
  readonly name: string;
  /** The section's lines, each with its line feed; the first is the keyword line. */
  readonly text: string;
  /** The service that this section was rendered for; null for everything hand-written or shared. */
  readonly service: string | null;
  /** Identifies the queries whose results its servers are (`queryKeyOf`): servers from other queries belong in another section. */
  readonly queryKey?: string;
  /** Its options may be written once for all backends that have the same (`haproxy/text/layout.ts`). */
  readonly sharesOptions?: true;
  /** Of a map: what its entries come from; missing where that is not known, as after a restart. */
  readonly origin?: MapOrigin;
};

export type MapOrigin = {
  /**
   * Says of a key whether its entry, or that there is none, may differ from `before` by discovery alone. null: an edit of the config
   * has to do with what discovered services may have.
   */
  discoveredSince(before: MapOrigin): ((key: string) => boolean) | null;
};

/** What should be: the whole file in sections, in order. Unchanged sections keep their identity (===). */
export type Rendered = { readonly sections: readonly Section[] };

/** Why a reload is needed; `section` is like `frontend web`. The codes are part of the interface (log, metric, status). */
export type ReloadReason = {
  readonly code: ReloadCode;
  readonly section?: string;
  readonly detail?: string;
};

export type ReloadCode = (typeof reloadCodes)[number];
export const reloadCodes = [
  'first_start', // nothing of ours runs
  'haproxy_exited', // it ran and is gone
  'binary_changed', // the executable was replaced
  'operator_request', // `myelin reload`
  'socket_removed', // somebody removed the socket of the process that serves
  'global_changed',
  'defaults_changed',
  'bind_changed',
  'proxy_added',
  'proxy_removed',
  'option_changed', // any other line of a frontend, backend or listen section
  'server_added',
  'server_removed',
  'server_changed', // address, port, weight or an option of a server line
  'balance_not_dynamic', // the balance algorithm does not let this happen to servers while it runs, or their order does not
  'keyword_not_dynamic', // an option of a server line that a running HAProxy does not take
  'options_unproven', // a set of server options that `haproxy -c` has not seen yet
  'backend_not_plain', // something in the backend that Myelin does not model, such as `.if` or `server-template`
  'capability_missing', // this version of HAProxy cannot do it at runtime
  'reply_unexpected', // the runtime API answered something that is not known to be good
  'drift_unrepairable', // what runs differs from what is wanted, and commands do not bring it back
  'map_changed', // a map that commands do not bring to what is wanted
  'certificate_changed', // a certificate, a list of them, or of authorities
  'section_changed', // userlist, peers, resolvers, …
  'order_changed', // the same sections in another order
] as const;

export type Plan =
  | { readonly kind: 'none' }
  /** Commands over the runtime API, in this order; the file follows. */
  | { readonly kind: 'runtime'; readonly commands: readonly RuntimeCommand[] }
  | { readonly kind: 'reload'; readonly reasons: readonly ReloadReason[] };

/**
 * One change of something that the running HAProxy has. A pure value: the resource of its `kind` (`src/haproxy/resources`)
 * knows its command lines and its owner.
 */
export type RuntimeCommand =
  | CaFileCommand
  | CertificateCommand
  | CrtListCommand
  | FrontendCommand
  | BackendCommand
  | ServerCommand
  | MapCommand;

/** Of a frontend that the process was started with. */
export type FrontendCommand = { readonly kind: 'frontend'; readonly frontend: string } & (
  | /** It listens again, after somebody has disabled it. */ { readonly action: 'enable' }
  /** It listens no more and cannot be enabled again; its connections finish. */
  | { readonly action: 'remove' }
);

/** Of a whole backend. */
export type BackendCommand = {
  readonly kind: 'backend';
  readonly backend: string;
} /** With the options of a named `defaults` section, without servers; nothing leads to it before `publish`. */ & (
  | { readonly action: 'add'; readonly from: string }
  | { readonly action: 'publish' }
  /**
   * Nothing leads to the backend any more; to come back it must have these options. null: it cannot. `serving`: its servers
   * stay in service until it is idle, since requests that are on their way to one must not lose it.
   */
  | { readonly action: 'unpublish'; readonly from: string | null; readonly serving: readonly LeavingServer[] }
  /**
   * Nothing leads to the backend any more, once these frontends of its own have no connections; it stays until the next
   * reload, and its servers leave. HAProxy needs no word for this.
   */
  | {
      readonly action: 'retire';
      readonly frontends: readonly string[];
      readonly serving: readonly LeavingServer[];
    }
  /** The end of a removed one. */
  | { readonly action: 'delete' }
);

/** One thing that happens to one server. */
export type ServerCommand = { readonly kind: 'server'; readonly backend: string; readonly server: string } & (
  | {
      /** It is created in maintenance and gets no traffic before `ready`. */
      readonly action: 'add';
      readonly address: string;
      readonly port: number;
      readonly weight: number;
      /** Words for `add server`, complete: what `default-server` says is spelled out, a unique `id` is among them. */
      readonly options: readonly string[];
      /** The checks that its options ask for; they do not start by themselves. */
      readonly checks: readonly ('health' | 'agent')[];
      /** The backend makes up cookies for its servers, which some versions forget for new ones. */
      readonly dynamicCookie: boolean;
    }
  | {
      readonly action: 're-address';
      readonly address: string;
      readonly port: number;
      /** The check results of the old address do not count for the new one: an added server is up at once, too. */
      readonly isChecked?: true;
    }
  /** Connections at once; 0: as many as come. */
  | { readonly action: 'maxconn'; readonly maxconn: number }
  /** 0 drains: no new connections but for sticky sessions. */
  | ({ readonly action: 'weight'; readonly weight: number } & MayHaveAgent)
  | ({ readonly action: 'ready' } & MayHaveAgent)
  | ({ readonly action: 'maint' } & MayHaveAgent)
  /** Out of service now, to be deleted once it is idle; `options` is what it must have to come back under its name. */
  | ({ readonly action: 'remove'; readonly options: readonly string[] } & MayHaveAgent)
  /** Ends the connections that it still has. */
  | { readonly action: 'shutdown' }
  /** The end of a removed server. */
  | { readonly action: 'delete' }
);

/**
 * An agent beside the server sets its weight, and may call it ready at any time, which would undo the last
 * command: the agent is queried only while the server should serve.
 */
type MayHaveAgent = { readonly hasAgent?: true };

/** One entry of a map; `map` is the path of its file, by which HAProxy knows it. */
export type MapCommand = MapEntryCommand | MapVersionCommand;

export type MapEntryCommand = { readonly kind: 'map'; readonly map: string; readonly key: string } & (
  | { readonly action: 'add'; readonly value: string }
  | { readonly action: 'set'; readonly value: string }
  /** For a key that occurs `copies` times: afterwards it occurs once. */
  | { readonly action: 'replace'; readonly value: string; readonly copies: number }
  | { readonly action: 'delete'; readonly copies: number }
);

/** A map gets these entries in the place of all that it has, in one moment. `text`: a line for each, as in the file. */
export type MapVersionCommand = {
  readonly kind: 'map';
  readonly map: string;
  readonly action: 'version';
  readonly text: string;
};

/** A certificate with its key; `certificate` is the path of its file, by which HAProxy knows it. */
export type CertificateCommand = { readonly kind: 'certificate'; readonly certificate: string } & (
  | { readonly action: 'add'; readonly pem: string }
  | { readonly action: 'set'; readonly pem: string }
  | { readonly action: 'delete' }
);

/** One entry of a list of certificates; `list` is the path of its file. */
export type CrtListCommand = { readonly kind: 'crt-list'; readonly list: string; readonly certificate: string } & (
  | { readonly action: 'add' }
  /** `line`: which entry, where the certificate has several. */
  | { readonly action: 'delete'; readonly line?: number }
);

/** The CA certificates of a file; `caFile` is its path, by which HAProxy knows it. */
export type CaFileCommand = { readonly kind: 'ca-file'; readonly caFile: string } & {
  readonly action: 'set';
  readonly pem: string;
};

/** What an operator can set a server to, other than ready. */
export type ServerOverride = 'maint' | 'drain';

/** A difference from the desired state, as HAProxy itself reports. */
export type Drift =
  | FrontendDrift
  | BackendDrift
  | ServerDrift
  | MapDrift
  | CertificateDrift
  | CrtListDrift
  | CaFileDrift;

export type FrontendDrift = {
  readonly frontend: string;
  /** `disabled`: it does not listen; `missing`: and HAProxy does not show it. */
  readonly kind: 'missing' | 'disabled';
  readonly detail: string;
};

export type BackendDrift = {
  readonly backend: string;
  /** `unpublished`: no request is led to it. */
  readonly kind: 'missing' | 'unpublished';
  readonly detail: string;
};

export type ServerDrift = {
  readonly backend: string;
  readonly server: string;
  readonly kind: 'missing' | 'extra' | 'address' | 'weight' | 'maxconn' | 'state';
  /** What was found instead of the desired value. */
  readonly detail: string;
};

export type MapDrift = {
  readonly map: string;
  readonly key: string;
  readonly kind: 'missing' | 'extra' | 'value' | 'duplicate';
  /** What was found instead of the desired value. */
  readonly detail: string;
};

export type CertificateDrift = {
  readonly certificate: string;
  readonly kind: 'missing' | 'content';
  /** The fingerprint (SHA-1) of what was found, and the subjects of the chain behind it. */
  readonly detail: string;
};

type CaFileDrift = {
  readonly caFile: string;
  readonly kind: 'content';
  /** The fingerprints (SHA-1) of what was found. */
  readonly detail: string;
};

export type CrtListDrift = {
  readonly list: string;
  readonly entry: string;
  readonly kind: 'missing' | 'extra' | 'duplicate';
  readonly detail: string;
};

/** A removed server or backend that still exists: it finishes its connections, or cannot be deleted. */
export type Leaving = LeavingBackend | LeavingServer;

export type LeavingBackend = Pick<
  Extract<BackendCommand, { readonly action: 'unpublish' }>,
  'kind' | 'backend' | 'from'
> & {
  /** It cannot be deleted before the next reload. */
  readonly isPinned?: true;
};

export type LeavingServer = Pick<
  Extract<ServerCommand, { readonly action: 'remove' }>,
  'kind' | 'backend' | 'server' | 'options' | 'hasAgent'
> & {
  /** Still in service, in a backend that nothing leads to. */
  readonly isServing?: true;
  /** Removed frontends that lead to it: each of their connections may bring a further request. */
  readonly frontends?: readonly string[];
};

/** Something that HAProxy or our preflight refuses, in its own words. */
export type Problem = {
  readonly message: string;
  /** 1-based line of the candidate file, where known. */
  readonly line?: number;
  /** What stands there, without passwords. */
  readonly text?: string;
  /** Where the config has it; without, a template prints it by itself. */
  readonly origin?: { readonly path: string; readonly place: string };
  /** The service whose section is at fault; null when it is nobody's or unknown. */
  readonly service: string | null;
  /** Set where the problem is not a rejected config, such as an address that somebody else holds. */
  readonly code?: ErrorCode;
};

/** How much Myelin logs, and how; here because the command line knows them without the config. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['json', 'pretty'] as const;
export type LogFormat = (typeof logFormats)[number];
