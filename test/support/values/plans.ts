/** Plans between sections, and what is found when servers are read back, as tests of servers speak of them. */
import type { ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import type { RuntimeState } from '../../../src/haproxy/resources/resource.ts';
import { findDrift as findIn } from '../../../src/haproxy/resources/servers/drift.ts';
import { ownerOf, seenServers } from '../../../src/haproxy/resources/servers/read-back.ts';
import type {
  Drift,
  Leaving,
  Plan,
  ReloadReason,
  RuntimeCommand,
  Section,
  ServerCommand,
  ServerDrift,
} from '../../../src/model.ts';
import * as plans from '../../../src/plan/plan.ts';

type Sections = readonly Section[];
type Forced = { readonly forced: readonly ReloadReason[] };
export type ServerPlan =
  | Exclude<Plan, { readonly kind: 'runtime' }>
  | { readonly kind: 'runtime'; readonly commands: readonly ServerCommand[] };

export function planChange(
  running: Sections,
  wanted: Sections,
  { forced, ...process }: Forced & RuntimeState,
): ServerPlan {
  const plan = plans.planChange({ sections: running }, { sections: wanted }, process, forced);
  return plan.kind === 'runtime' ? { ...plan, commands: serverCommands(plan.commands) } : plan;
}

/** For an HAProxy that takes no commands. */
export function planReload(
  running: Sections | null,
  wanted: Sections,
  { forced }: Forced,
): Exclude<Plan, { readonly kind: 'runtime' }> {
  const plan = plans.planChange(stateOf(running), { sections: wanted }, null, forced);
  if (plan.kind === 'runtime') throw new TypeError('it takes no commands');
  return plan;
}

export function planMeanwhile(
  running: Sections,
  wanted: Sections,
  process: RuntimeState,
): { readonly sections: Sections; readonly commands: readonly ServerCommand[] } | null {
  const part = plans.planMeanwhile({ sections: running }, { sections: wanted }, process);
  return part === null ? null : { sections: part.desired.sections, commands: serverCommands(part.commands) };
}

export type Observed = {
  /** By backend. */
  readonly servers: ReadonlyMap<string, readonly ServerStateRow[]>;
  /** `backend/server` → the connections that it takes at once; those with no limit are left out. Not given: not read. */
  readonly limits?: ReadonlyMap<string, number>;
  readonly leaving: readonly Leaving[];
  readonly unsettled: ReadonlySet<string>;
};

export function findDrift(
  running: Sections,
  { servers, limits, ...circumstances }: Observed,
): { readonly drift: readonly ServerDrift[]; readonly sections: Sections; readonly leaving: readonly Leaving[] } {
  const seen = new Map(
    [...servers].map(([backend, rows]) => {
      const names = limits === undefined ? [] : rows.map(({ srv_name = '' }) => srv_name);
      const maxconns = new Map(names.map((name) => [name, limits?.get(`${backend}/${name}`) ?? 0]));
      return [ownerOf(backend), seenServers(rows, maxconns)] as const;
    }),
  );
  const found = findIn({ sections: running }, seen, circumstances);
  return {
    drift: serverDrift(found.findings.map(({ drift }) => drift)),
    sections: found.running.sections,
    leaving: [...found.leaving.values()].flat(),
  };
}

/** None but these may be among them. */
export function serverCommands(commands: readonly RuntimeCommand[]): readonly ServerCommand[] {
  return commands.map((command) => {
    if (command.kind === 'server') return command;
    throw new TypeError(`${JSON.stringify(command)} is about no server`);
  });
}

export function serverDrift(drift: readonly Drift[]): readonly ServerDrift[] {
  return drift.map((each) => {
    if ('server' in each) return each;
    throw new TypeError(`${JSON.stringify(each)} is about no server`);
  });
}

function stateOf(sections: Sections | null): { readonly sections: Sections } | null {
  return sections === null ? null : { sections };
}

/** How a server is added where a test says nothing of it. */
export function addOf(
  server: Pick<ServerCommand, 'backend' | 'server'>,
): Extract<ServerCommand, { readonly action: 'add' }> {
  return {
    ...server,
    kind: 'server',
    action: 'add',
    address: '127.0.0.1',
    port: 9,
    weight: 1,
    options: [],
    checks: [],
    dynamicCookie: false,
  };
}
