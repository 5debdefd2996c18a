/**
 * A backend of ours in which only servers differ: server by server, the commands that bring the running HAProxy there,
 * or the obstacle. Possible changes do not wait for impossible ones.
 */
import { listNames } from '../../../../lib/list-names.ts';
import type { LeavingServer, ServerCommand } from '../../../../model.ts';
import { serverId } from '../../../text/servers/server-id.ts';
import type { Obstacle } from '../../resource.ts';
import type { Backend, Server } from './backend.ts';
import { lastValue } from './options.ts';
import { inSafeOrder, takesOut } from './order.ts';
import type { Becomes } from './section.ts';
import { alter, bring, type Circumstances, isReordered, remove, type Step } from './steps.ts';

export type ServerChange = {
  readonly commands: readonly ServerCommand[];
  /** Why the rest waits for a reload; none: nothing does. */
  readonly obstacles: readonly Obstacle[];
  /** What the commands make of each server; one that is not named here stays as it is. */
  readonly becomes: ReadonlyMap<string, Becomes>;
};

/** `running` and `desired` have the same structure. */
export function changeServers(running: Backend, desired: Backend, circumstances: Circumstances): ServerChange {
  const notPlain = running.notPlain ?? desired.notPlain;
  // A backend that is not understood cannot be compared server by server.
  if (notPlain !== null) {
    const isSame = running.lines === desired.lines;
    return { ...nothing, obstacles: isSame ? [] : [{ code: 'backend_not_plain', detail: notPlain }] };
  }
  const ids = idsOf(running, desired, circumstances.leaving);
  const steps = [
    ...[...desired.servers.values()].map((server) => {
      const old = running.servers.get(server.name);
      return old === undefined
        ? bring(server, running, desired, { ...circumstances, ids })
        : alter(old, server, desired, circumstances);
    }),
    ...[...running.servers.values()]
      .filter(({ name }) => !desired.servers.has(name))
      .map((server) => remove(server, desired, circumstances)),
  ];
  const obstacles = [
    ...(isReordered(running, desired) ? [{ code: 'option_changed' as const, detail: 'order' }] : []),
    ...steps.flatMap(({ obstacle }) => obstacle ?? []),
  ];
  const taken = obstacles.length === 0 ? steps : possibleAlone(steps, running, desired);
  return {
    commands: inSafeOrder(taken.flatMap(({ commands }) => commands)),
    obstacles: [...Map.groupBy(obstacles, ({ code }) => code)].map(([code, its]) => ({
      code,
      detail: listNames([...new Set(its.map(({ detail }) => detail))]),
    })),
    becomes: new Map(taken.flatMap(({ name, becomes }) => (becomes === null ? [] : [[name, becomes] as const]))),
  };
}

const nothing: ServerChange = { commands: [], obstacles: [], becomes: new Map() };

/** The steps that are safe while the rest waits. */
function possibleAlone(steps: readonly Step[], running: Backend, desired: Backend): readonly Step[] {
  // The lines of new servers would stand last, where a different `default-server` may apply.
  const isMixed = running.isMixed || desired.isMixed;
  const all = isMixed ? steps.filter((step) => !isAsWanted(step)) : steps;
  if (![...desired.servers.values()].some(serves)) return all;
  // Better a server that should drain, one at its old address, or even one that may be gone, than none.
  const draining = all.filter((step) => !isAsWanted(step) || !step.commands.some(takesOut));
  const unmoved = draining.filter(({ name, becomes }) => becomes?.kind !== 'disabled' || !desired.servers.has(name));
  const staying = all.filter(({ commands }) => !commands.some(takesOut));
  return [all, draining, unmoved, staying].find((some) => anyServes(some, running, desired)) ?? all;
}

function isAsWanted({ becomes }: Step): boolean {
  return becomes?.kind === 'desired' || becomes?.kind === 'unweighed';
}

function anyServes(steps: readonly Step[], running: Backend, desired: Backend): boolean {
  const after = new Map([...running.servers].map(([name, server]) => [name, serves(server)]));
  for (const step of steps) {
    const { name, becomes } = step;
    const server = desired.servers.get(name);
    if (becomes === null) continue;
    const weight = becomes.kind === 'unweighed' ? becomes.weight : (server?.weight ?? 0);
    after.set(name, isAsWanted(step) && server !== undefined && serves({ ...server, weight }));
  }
  return [...after.values()].includes(true);
}

function serves({ weight, isDisabled }: Pick<Server, 'weight' | 'isDisabled'>): boolean {
  return weight > 0 && !isDisabled;
}

/** The id of every present or new server; present servers keep theirs. */
function idsOf(running: Backend, desired: Backend, leaving: readonly LeavingServer[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  const give = (name: string, id: number): void => {
    ids.set(name, id);
    taken.add(id);
  };
  const servers = [...running.servers.values(), ...desired.servers.values()];
  for (const { name, options } of servers) {
    const id = lastValue(options, 'id');
    if (id !== undefined) give(name, Number(id));
  }
  for (const name of [...running.servers.keys(), ...leaving.map(({ server }) => server), ...desired.servers.keys()])
    if (!ids.has(name)) give(name, serverId(name, taken));
  return ids;
}
