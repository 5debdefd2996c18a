/** What a running Myelin says of itself: the same to the command line, to HTTP and to the metrics. */
import type { Drift, Ms, Problem, ReloadReason, ServerOverride, Timestamp } from '../model.ts';
import type { State, StateReason } from './state.ts';

export type Status = {
  readonly version: string;
  readonly state: State;
  /** Why it is not ready; empty: it is. */
  readonly stateReasons: readonly StateReason[];
  readonly startedAt: Timestamp;
  /** Required sources that have not answered yet. */
  readonly waitingFor: readonly string[];
  readonly haproxy: HAProxyStatus | null;
  readonly lastApply: LastApply | null;
  /** A new config or template that was refused; the old one stays in force. */
  readonly refusedConfig: Trouble | null;
  /** A new config that goes live once these services, which are new or have another query, have an answer. */
  readonly waitingConfig: { readonly since: Timestamp; readonly services: readonly string[] } | null;
  /** What is wanted and waits, and what for. */
  readonly pending: { readonly why: string; readonly at: Timestamp } | null;
  /** The overrides of operators; `until` null: until it is taken back. */
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
  /** Services that a source offers and that are left out, and why (`discover`): some of them, by name. */
  readonly unserved: readonly { readonly watcher: string; readonly service: string; readonly reason: string }[];
  /** Those that services share: how many routes each has, and how many are left out. */
  readonly frontends: readonly { readonly name: string; readonly routes: number; readonly leftOut: number }[];
  /** Those of the shared frontends, and those that are left out. */
  readonly certificates: readonly CertificateStatus[];
  /** Routes that are left out, and the service that has what they claim: some of them, by service. */
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
  /** Its runtime API. */
  readonly socket: string;
  /** Why, and since when, it does not answer, as one that hangs; null: it does. */
  readonly unresponsive: Trouble | null;
  /** Why, and since when, its master does not answer, so that nothing can be reloaded; null: it does, or there is none. */
  readonly masterTrouble: Trouble | null;
  /** Why, and since when, the file on disk is behind what runs; null: it is not. */
  readonly fileTrouble: Trouble | null;
  /** Servers that are not what they should be, and are left so (`drift: report`). */
  readonly drift: readonly Drift[];
  /** Processes that finish their last connections. */
  readonly oldWorkers: readonly {
    readonly pid: number;
    readonly generation: number;
    readonly since: Timestamp;
    readonly connections: number | null;
  }[];
};

/** What a reconcile came to. */
export const updateResults = ['noop', 'runtime', 'reload', 'rejected', 'failed'] as const;
export type UpdateResult = (typeof updateResults)[number];

/** The last time that HAProxy was brought to a new state, or should have been. */
export type LastApply = {
  readonly at: Timestamp;
  readonly result: Exclude<UpdateResult, 'noop'>;
  /** Of a reload. */
  readonly reasons: readonly ReloadReason[];
  /** The backends whose servers were changed by commands; `map PATH` of maps. */
  readonly backends: readonly string[];
  /** Null where it was not done. */
  readonly tookMs: Ms | null;
  /** Null where it went well. */
  readonly error: string | null;
};

type Trouble = { readonly reason: string; readonly since: Timestamp };

export type SourceStatus = {
  readonly name: string;
  /** starting: it has never answered. */
  readonly state: 'starting' | 'up' | 'down';
  readonly required: boolean;
  /** Has answered every question once. */
  readonly synced: boolean;
  /** Until when what is known of it was known to be current: the present while it is up. */
  readonly lastSuccess: Timestamp | null;
  readonly down: Trouble | null;
  /** How many services that it offers are left out. */
  readonly unserved: number;
};

export type OutputStatus = {
  readonly name: string;
  readonly path: string;
  /** waiting: not every service is known yet; failed: the last good file stays, but for a failed reload. */
  readonly state: 'waiting' | 'current' | 'failed';
  readonly failed: (Trouble & { readonly step: 'template' | 'check' | 'write' | 'reload' }) | null;
  /** When this run of Myelin wrote it last. */
  readonly writtenAt: Timestamp | null;
};

export type CertificateStatus = {
  readonly frontend: string;
  readonly name: string;
  /** Where it stands; null: it was generated, because the folder has none. */
  readonly file: string | null;
  /** The names in it. */
  readonly names: readonly string[];
  /** Of the one that is served; null: none of this name is. */
  readonly notAfter: Timestamp | null;
  readonly serial: string | null;
  /** Clients get it whose server name fits none. */
  readonly isDefault: boolean;
  /** What is wrong with what stands in the file; where one is served, it is an earlier one. null: nothing is. */
  readonly problem: string | null;
};

export const endpointStates = ['ready', 'draining', 'kept', 'refused'] as const;

export type ServiceStatus = {
  readonly name: string;
  /** kept: keep serving although the sources do not name them any more; refused: left out. */
  readonly endpoints: Readonly<Record<(typeof endpointStates)[number], number>>;
  /** Sources that have not answered for this service yet. */
  readonly unanswered: readonly string[];
  /** Why, and since when, its endpoints may be out of date. */
  readonly stale: Trouble | null;
  /**
   * Endpoints keep serving that no source names: all went (`onEmpty`), or many at once (`maxShrink`). `until`: when the last
   * of them is let go; null: never.
   */
  readonly kept: {
    readonly reason: 'emptied' | 'shrunk';
    readonly since: Timestamp;
    readonly until: Timestamp | null;
  } | null;
  /** Entries, tags and meta values that were left out, and why: of many some. */
  readonly refused: readonly {
    readonly id: string;
    readonly part: 'endpoint' | 'entry' | 'tag' | 'meta';
    readonly reason: string;
  }[];
  /** How many were left out in all. */
  readonly refusedCount: number;
  /**
   * It keeps its last good structure while the others go live. `servers`: how many HAProxy has of it that are
   * in service, hand-written ones among them; null: none that is asked runs.
   */
  readonly quarantined: {
    readonly since: Timestamp;
    readonly problems: readonly Problem[];
    readonly servers: number | null;
  } | null;
};
