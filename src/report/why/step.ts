/** One step of the answer to `why`, and the facts that the steps are made of. */
import type { Instance } from '../../instance/instance.ts';
import type { ReloadReason, Timestamp } from '../../model.ts';
import type { ServiceChange } from '../news/service-changes.ts';
import type { ServerStatus } from '../servers.ts';
import type { ServiceStatus, Status } from '../status.ts';

/** `isLost`: here it goes no further, so that there is no traffic. */
export type WhyStep = {
  readonly stage: 'config' | 'source' | 'catalog' | 'route' | 'render' | 'apply' | 'operator' | 'haproxy';
  readonly isLost: boolean;
  readonly text: string;
  /** What can be done about it; null: nothing, or nothing is needed. */
  readonly remedy: string | null;
};

/** What a source says when it is asked. */
export type Explanation = Awaited<ReturnType<Instance['explain']>>[number];

export type WhyFacts = {
  readonly service: string;
  /** null: the whole service. */
  readonly server: string | null;
  readonly status: Status;
  /** Of the service. */
  readonly servers: readonly ServerStatus[];
  /** What its sources say now. */
  readonly explanations: readonly Explanation[];
  /** Where clients reach it: its own binds, and its routes. */
  readonly ways: readonly string[];
  /** The hosts by which clients reach it over TLS, and what they are shown there. */
  readonly tls: readonly TlsHost[];
  /** What stands in the config file for it; null: nothing. */
  readonly rendered: { readonly file: string; readonly lines: readonly string[] } | null;
  /** How HAProxy was last brought in step for this service, by this run of Myelin; null: not yet. */
  readonly lastChange: (Omit<ServiceChange, 'at'> & { readonly at: Timestamp }) | null;
  readonly now: Timestamp;
  /** The reload that waits; null: none does. */
  readonly pending: {
    readonly reasons: readonly ReloadReason[];
    readonly because: string;
    readonly at: Timestamp;
  } | null;
};

export type TlsHost = {
  readonly frontend: string;
  readonly host: string;
  /** generated: Myelin made one, because the folder has none. */
  readonly certificate: 'named' | 'generated' | 'none';
  /** Clients can reach it in no other way. */
  readonly isOnlyTls: boolean;
  readonly folder: string;
};

type Told = { readonly text: string; readonly remedy?: string | null };

export function note(stage: WhyStep['stage'], { text, remedy = null }: Told): WhyStep {
  return { stage, isLost: false, text, remedy };
}

export function lost(stage: WhyStep['stage'], { text, remedy = null }: Told): WhyStep {
  return { stage, isLost: true, text, remedy };
}

export function step(isLost: boolean, stage: WhyStep['stage'], told: Told): WhyStep {
  return isLost ? lost(stage, told) : note(stage, told);
}

export function count(number: number, what: string): string {
  return `${number} ${number === 1 ? what : `${what}s`}`;
}

/** The servers that are meant: all, or one by its name in HAProxy or its address. */
export function meantServers({ server, servers }: WhyFacts): readonly ServerStatus[] {
  return servers.filter((one) => server === null || one.server === server || one.address === server);
}

/** What is meant has endpoints in the catalog, whatever its source says now. */
export function isKnown(facts: WhyFacts, { endpoints }: Pick<ServiceStatus, 'endpoints'>): boolean {
  if (facts.server === null) return endpoints.ready + endpoints.draining + endpoints.kept > 0;
  return meantServers(facts).some(({ source }) => source !== null);
}
