/** The status of a running Myelin: the same for the command line, HTTP and the metrics. */
import type { CaFileState } from '../certificates/ca-files.ts';
import type { CertificateState } from '../certificates/certificates.ts';
import type { ServerCondition } from '../haproxy/cli/stats.ts';
import type { Drift, Ms, Problem, ReloadReason, ServerOverride, Timestamp } from '../model.ts';
import type { State, StateReason } from './state.ts';

export type Status = {
  readonly version: string;
  /** When this was so, by the clock of this machine: whoever reads it may have another one. */
  readonly at: Timestamp;
  /** The path of the config file, by which commands find this Myelin. */
  readonly config: string;
  readonly state: State;
  /** Why it is not ready; empty: it is ready. */
  readonly stateReasons: readonly StateReason[];
  readonly startedAt: Timestamp;
  /** Required sources without a result so far. */
  readonly waitingFor: readonly string[];
  readonly haproxy: HAProxyStatus | null;
  /** When HAProxy was last asked for the health of its servers; null: not yet, or it does not answer. */
  readonly healthAskedAt: Timestamp | null;
  readonly lastApply: LastApply | null;
  /** The last successful reload by this run of Myelin, whatever commands changed since; null: there was none. */
  readonly lastReload: Pick<LastApply, 'at' | 'reasons' | 'tookMs'> | null;
  /** A new config or template that was refused; the old one stays in use. */
  readonly refusedConfig: Trouble | null;
  /** A new config goes live once these services, which are new or have a new query, have results. */
  readonly waitingConfig: { readonly since: Timestamp; readonly services: readonly string[] } | null;
  /** A wanted reload that waits: what for, since when, until when, and what it is wanted for. */
  readonly pending: {
    readonly why: string;
    readonly since: Timestamp;
    readonly at: Timestamp;
    readonly reasons: readonly ReloadReason[];
  } | null;
  /** The overrides of operators; `until` null: until an operator ends it. */
  readonly orders: readonly {
    readonly backend: string;
    readonly server: string;
    readonly state: ServerOverride;
    readonly since: Timestamp;
    readonly until: Timestamp | null;
  }[];
  readonly sources: readonly SourceStatus[];
  readonly services: readonly ServiceStatus[];
  readonly outputs: readonly OutputStatus[];
  /** Services that a source offers and that are left out, with the reason (`discover`): some of them, by name. */
  readonly unserved: readonly { readonly watcher: string; readonly service: string; readonly reason: string }[];
  /** The shared frontends: how many routes each has, and how many are left out. */
  readonly frontends: readonly { readonly name: string; readonly routes: number; readonly leftOut: number }[];
  /** The certificates of the shared frontends, those that are left out included. */
  readonly certificates: readonly CertificateStatus[];
  /** The files of CA certificates by which clients and servers are verified. */
  readonly caFiles: readonly CaFileState[];
  /** Routes that are left out, and the service that holds what they claim: some of them, by service. */
  readonly routesLeftOut: readonly {
    readonly service: string;
    readonly frontend: string;
    readonly route: string;
    readonly holder: string;
  }[];
};

export type HAProxyStatus = {
  readonly pid: number;
  readonly version: string | null;
  /** Counts the processes that Myelin started. */
  readonly generation: number;
  readonly since: Timestamp;
  /** The socket of HAProxy's runtime API. */
  readonly socket: string;
  /** Why, and since when, HAProxy does not answer, as when it hangs; null: it answers. */
  readonly unresponsive: Trouble | null;
  /** Why, and since when, the master does not answer: reloads are impossible; null: it answers, or there is none. */
  readonly masterTrouble: Trouble | null;
  /** Why, and since when, the file on disk is older than the running config; null: it is not. */
  readonly fileTrouble: Trouble | null;
  /** Servers that differ from their desired state, and are left so (`drift: report`). */
  readonly drift: readonly Drift[];
  /** Old processes that finish their last connections. */
  readonly oldWorkers: readonly {
    readonly pid: number;
    readonly generation: number;
    readonly since: Timestamp;
    readonly connections: number | null;
  }[];
};

/** The result of a reconcile. */
export const updateResults = ['noop', 'runtime', 'reload', 'rejected', 'failed'] as const;
export type UpdateResult = (typeof updateResults)[number];

/** The last update of HAProxy, successful or not. */
export type LastApply = {
  readonly at: Timestamp;
  readonly result: Exclude<UpdateResult, 'noop'>;
  /** The reasons for a reload. */
  readonly reasons: readonly ReloadReason[];
  /** The backends whose servers commands changed; `map PATH`, `certificate PATH`, `crt-list PATH` and `ca-file PATH` for what else they changed. */
  readonly backends: readonly string[];
  /** null where nothing was done. */
  readonly tookMs: Ms | null;
  /** null on success. */
  readonly error: string | null;
};

type Trouble = { readonly reason: string; readonly since: Timestamp };

export type SourceStatus = {
  readonly name: string;
  /** starting: no result yet. */
  readonly state: 'starting' | 'up' | 'down';
  readonly required: boolean;
  /** Every query has had a result. */
  readonly synced: boolean;
  /** Until when its data were known to be current: now, while it is up. */
  readonly lastSuccess: Timestamp | null;
  readonly down: Trouble | null;
  /** How many of the services that it offers are left out. */
  readonly unserved: number;
};

export type OutputStatus = {
  readonly name: string;
  readonly path: string;
  /** waiting: some services are not known yet; failed: the last good file stays, except after a failed reload. */
  readonly state: 'waiting' | 'current' | 'failed';
  readonly failed: (Trouble & { readonly step: 'template' | 'check' | 'write' | 'reload' }) | null;
  /** When this run of Myelin last wrote the file. */
  readonly writtenAt: Timestamp | null;
};

export type CertificateStatus = Omit<CertificateState, 'isExpiring'>;

export const endpointStates = ['ready', 'draining', 'kept', 'unfit', 'refused'] as const;

export type ServiceStatus = {
  readonly name: string;
  /** kept: they keep serving although the sources do not name them any more; refused: left out. */
  readonly endpoints: Readonly<Record<(typeof endpointStates)[number], number>>;
  /** It has no endpoint that may serve although it should (`onEmpty`). */
  readonly lacksEndpoints: boolean;
  /** Sources without a result for this service. */
  readonly unanswered: readonly string[];
  /** Why, and since when, its endpoints may be out of date. */
  readonly stale: Trouble | null;
  /**
   * Endpoints that keep serving although no source names them: all went (`onEmpty`), or many at once (`maxShrink`).
   * `until`: when the last of them is removed; null: never.
   */
  readonly kept: {
    readonly reason: 'emptied' | 'config' | 'shrunk';
    readonly since: Timestamp;
    readonly until: Timestamp | null;
  } | null;
  /** Some of the entries, tags and meta values that were left out, with the reasons. */
  readonly refused: readonly {
    readonly id: string;
    readonly part: 'endpoint' | 'entry' | 'tag' | 'meta' | 'origin';
    readonly reason: string;
  }[];
  /** The number of all of them. */
  readonly refusedCount: number;
  /**
   * The service keeps its last good structure while the others go live. `servers`: how many of its servers HAProxy has
   * in service, hand-written ones included; null: no HAProxy runs whose servers are known.
   */
  readonly quarantined: {
    readonly since: Timestamp;
    readonly problems: readonly Problem[];
    readonly servers: number | null;
  } | null;
  /** null: no HAProxy of ours runs or answers, or it has no backend of the service. */
  readonly health: ServiceHealth | null;
};

/** What HAProxy says of a service: of all its backends together. */
export type ServiceHealth = {
  /** No server of it takes requests. */
  readonly isDown: boolean;
  /** By what HAProxy does with them; `up` are those that take new connections. */
  readonly servers: Readonly<Record<ServerCondition, number>>;
  readonly sessions: number;
  /** Requests that wait for a server. */
  readonly queued: number;
  /** New sessions in the last second. */
  readonly sessionsPerSec: number;
  /** Some of the servers that are down, the newest first. */
  readonly down: readonly DownServer[];
};

export type DownServer = {
  readonly backend: string;
  readonly server: string;
  readonly address: string;
  readonly since: Timestamp;
  /** The last check, in HAProxy's words. */
  readonly reason: string;
};
