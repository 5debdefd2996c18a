/** Plans between sections, and what is found when servers are read back, as tests speak of them. */
import type { ServerStateRow } from '../../src/haproxy/cli/info.ts';
import type { ProcessState } from '../../src/haproxy/resources/resource.ts';
import { findDrift as findIn } from '../../src/haproxy/resources/servers/drift.ts';
import { ownerOf, seenServers } from '../../src/haproxy/resources/servers/read-back.ts';
import type { Drift, Leaving, Plan, ReloadReason, RuntimeCommand, Section } from '../../src/model.ts';
import * as plans from '../../src/plan/plan.ts';

type Sections = readonly Section[];
type Forced = { readonly forced: readonly ReloadReason[] };

export function planChange(
  running: Sections | null,
  wanted: Sections,
  { forced, ...process }: Forced & ProcessState,
): Plan {
  return plans.planChange(stateOf(running), { sections: wanted }, process, forced);
}

export function planReload(
  running: Sections | null,
  wanted: Sections,
  { forced }: Forced,
): ReturnType<typeof plans.planReload> {
  return plans.planReload(stateOf(running), { sections: wanted }, forced);
}

export function planMeanwhile(
  running: Sections,
  wanted: Sections,
  process: ProcessState,
): { readonly sections: Sections; readonly commands: readonly RuntimeCommand[] } | null {
  const part = plans.planMeanwhile({ sections: running }, { sections: wanted }, process);
  return part === null ? null : { sections: part.desired.sections, commands: part.commands };
}

export type Observed = {
  /** By backend. */
  readonly servers: ReadonlyMap<string, readonly ServerStateRow[]>;
  readonly leaving: readonly Leaving[];
  readonly unsettled: ReadonlySet<string>;
};

export function findDrift(
  running: Sections,
  { servers, ...circumstances }: Observed,
): { readonly drift: readonly Drift[]; readonly sections: Sections; readonly leaving: readonly Leaving[] } {
  const seen = new Map([...servers].map(([backend, rows]) => [ownerOf(backend), seenServers(rows)] as const));
  const found = findIn({ sections: running }, seen, circumstances);
  return {
    drift: found.findings.map(({ drift }) => drift),
    sections: found.running.sections,
    leaving: [...found.leaving.values()].flat(),
  };
}

function stateOf(sections: Sections | null): { readonly sections: Sections } | null {
  return sections === null ? null : { sections };
}
