/**
 * A backend of ours in which only servers differ: server by server, the commands that bring the running HAProxy there,
 * or what stands in the way of it. What can be done does not wait for what cannot.
 */

import { type Capabilities, maxCommandWords, whyNotAdded } from '../haproxy/binary/capabilities.ts';
import { isCliWord } from '../haproxy/cli/runtime-commands.ts';
import { serverId } from '../haproxy/text/server-id.ts';
import { parseAddress } from '../lib/address.ts';
import type { LeavingServer, ReloadCode, RuntimeCommand } from '../model.ts';
import type { Backend, Server } from './backend.ts';
import { names } from './names.ts';
import { agentOf, lastValue, type Option, spellOut, wordsOf } from './options.ts';

type Obstacle = { readonly code: ReloadCode; readonly detail: string };

export type Change = {
  readonly commands: readonly RuntimeCommand[];
  /** Why the rest waits for a reload; none: nothing does. */
  readonly obstacles: readonly Obstacle[];
  /** What the commands make of each server; one that is not named here stays as it is. */
  readonly becomes: ReadonlyMap<string, Becomes>;
};

type Becomes =
  /** As its wanted line says. */
  | { readonly kind: 'wanted' }
  /** The same, with the weight that it has. */
  | { readonly kind: 'unweighed'; readonly weight: number }
  | { readonly kind: 'gone' }
  /** Still there, and out of service. */
  | { readonly kind: 'disabled' };

export type Circumstances = {
  readonly capabilities: Capabilities;
  /** Of this backend: servers that were removed and still finish their connections, or cannot be deleted. */
  readonly leaving: readonly LeavingServer[];
  /** What HAProxy was started with, and so proved; it may hold more kinds of servers than there are now. */
  readonly started: () => Backend | null;
  /** Whether anything in the wanted file names this server. */
  readonly isMentioned: (server: string) => boolean;
};

/** `running` and `wanted` have the same structure. */
export function changeServers(running: Backend, wanted: Backend, circumstances: Circumstances): Change {
  const notPlain = running.notPlain ?? wanted.notPlain;
  // Whatever could be told apart would be read from what is not understood.
  if (notPlain !== null) {
    const isSame = running.lines === wanted.lines;
    return { ...nothing, obstacles: isSame ? [] : [{ code: 'backend_not_plain', detail: notPlain }] };
  }
  const ids = idsOf(running, wanted, circumstances.leaving);
  const steps = [
    ...[...wanted.servers.values()].map((server) => {
      const old = running.servers.get(server.name);
      return old === undefined
        ? bring(server, running, wanted, { ...circumstances, ids })
        : alter(old, server, wanted, circumstances);
    }),
    ...[...running.servers.values()]
      .filter(({ name }) => !wanted.servers.has(name))
      .map((server) => remove(server, wanted, circumstances)),
  ];
  const obstacles = [
    ...(isReordered(running, wanted) ? [{ code: 'option_changed' as const, detail: 'order' }] : []),
    ...steps.flatMap(({ obstacle }) => obstacle ?? []),
  ];
  const taken = obstacles.length === 0 ? steps : possibleAlone(steps, running, wanted);
  return {
    commands: inSafeOrder(taken.flatMap(({ commands }) => commands)),
    obstacles: [...Map.groupBy(obstacles, ({ code }) => code)].map(([code, its]) => ({
      code,
      detail: names([...new Set(its.map(({ detail }) => detail))]),
    })),
    becomes: new Map(taken.flatMap(({ name, becomes }) => (becomes === null ? [] : [[name, becomes] as const]))),
  };
}

const nothing: Change = { commands: [], obstacles: [], becomes: new Map() };

/** What of it is right also while the rest waits. */
function possibleAlone(steps: readonly Step[], running: Backend, wanted: Backend): readonly Step[] {
  // The lines of new servers would stand last, where another `default-server` may hold.
  const isMixed = running.isMixed || wanted.isMixed;
  const all = isMixed ? steps.filter((step) => !isAsWanted(step)) : steps;
  if (![...wanted.servers.values()].some(serves)) return all;
  // Better a server that was to drain, one where it was before, or even one that may be gone, than none.
  const draining = all.filter((step) => !isAsWanted(step) || !step.commands.some(takesOut));
  const unmoved = draining.filter(({ name, becomes }) => becomes?.kind !== 'disabled' || !wanted.servers.has(name));
  const staying = all.filter(({ commands }) => !commands.some(takesOut));
  return [all, draining, unmoved, staying].find((some) => anyServes(some, running, wanted)) ?? all;
}

function isAsWanted({ becomes }: Step): boolean {
  return becomes?.kind === 'wanted' || becomes?.kind === 'unweighed';
}

function anyServes(steps: readonly Step[], running: Backend, wanted: Backend): boolean {
  const after = new Map([...running.servers].map(([name, server]) => [name, serves(server)]));
  for (const step of steps) {
    const { name, becomes } = step;
    const server = wanted.servers.get(name);
    if (becomes === null) continue;
    const weight = becomes.kind === 'unweighed' ? becomes.weight : (server?.weight ?? 0);
    after.set(name, isAsWanted(step) && server !== undefined && serves({ ...server, weight }));
  }
  return [...after.values()].includes(true);
}

function serves({ weight, isDisabled }: Pick<Server, 'weight' | 'isDisabled'>): boolean {
  return weight > 0 && !isDisabled;
}

function takesOut(command: RuntimeCommand): boolean {
  const { kind } = command;
  return kind === 'remove' || kind === 'maint' || (kind === 'weight' && command.weight === 0);
}

type Bringing = Circumstances & { readonly ids: ReadonlyMap<string, number> };

/** What happens to one server. */
type Step = {
  readonly name: string;
  readonly commands: readonly RuntimeCommand[];
  /** Why more than that waits for a reload. */
  readonly obstacle: Obstacle | null;
  /** null: what it was. */
  readonly becomes: Becomes | null;
};

function waits(name: string, obstacle: Obstacle): Step {
  return { name, commands: [], obstacle, becomes: null };
}

/** A server that has to be in the running HAProxy and is not among those that it serves with. */
function bring(server: Server, running: Backend, wanted: Backend, circumstances: Bringing): Step {
  const { name, weight } = server;
  const { started, capabilities } = circumstances;
  const at = addressOf(server);
  if (at === null || server.unknown !== null) return waits(name, notUnderstood(server));
  const it = { backend: wanted.name, server: name };
  const presence = { ...it, kind: server.isDisabled ? 'maint' : 'ready', ...agentOf(server.options) } as const;
  const left = circumstances.leaving.find((each) => each.server === name);
  if (left !== undefined) {
    if (left.options.join('\0') !== server.key)
      return waits(name, { code: 'server_changed', detail: `${name}, which still leaves, with other options` });
    if (!isInPlace(server, wanted, started))
      return waits(name, wanted.balance === 'dynamic' ? notInOrder(wanted) : notDynamic(wanted));
    const commands = [{ ...it, kind: 're-address', ...at }, { ...it, kind: 'weight', weight }, presence] as const;
    return { name, commands, obstacle: null, becomes: { kind: 'wanted' } };
  }
  if (wanted.balance !== 'dynamic') return waits(name, notDynamic(wanted));
  if (!isLast(server, running, wanted)) return waits(name, notInOrder(wanted));
  const spelled = spellOut(server.options);
  const { algorithm, hasExternalChecks, dynamicCookie } = wanted;
  const refused = whyNotAdded(capabilities, { options: spelled, algorithm, hasExternalChecks });
  if (refused !== null) return waits(name, { detail: '', ...refused });
  if (!isProven(server, running, started)) return waits(name, { code: 'options_unproven', detail: name });
  const options = [
    ...capabilities.forgottenDefaults,
    ...wordsOf(spelled.filter(({ keyword }) => keyword !== 'id')),
    'id',
    `${circumstances.ids.get(name) ?? 0}`,
  ];
  const isTooLong =
    options.length > maxOptionWords ||
    2 * options.join(' ').length + bytesBesideOptions > circumstances.capabilities.maxLineBytes;
  if (isTooLong || !options.every(isCliWord))
    return waits(name, { code: 'backend_not_plain', detail: `the options of server ${name}` });
  const has = (keyword: string): boolean => spelled.some((option) => option.keyword === keyword);
  const checks = [...(has('check') ? ['health' as const] : []), ...(has('agent-check') ? ['agent' as const] : [])];
  return {
    name,
    // It is created in maintenance.
    commands: [
      { ...it, kind: 'add', ...at, weight, options, checks, dynamicCookie },
      ...(server.isDisabled ? [] : [presence]),
    ],
    obstacle: null,
    becomes: { kind: 'wanted' },
  };
}

/** `add server NAME ADDRESS weight N`, and one to spare: `usesrc` and the like are counted by some versions. */
const wordsBesideOptions = 7;
export const maxOptionWords = maxCommandWords - wordsBesideOptions;

/** Names, what stands around each command, and the commands that follow. Escapes may double the options. */
const bytesBesideOptions = 1000;

function alter(old: Server, server: Server, wanted: Backend, { started }: Circumstances): Step {
  const { name, weight } = server;
  const it = { backend: wanted.name, server: name };
  const agent = agentOf(server.options);
  const at = addressOf(server);
  const hasMoved = old.address !== server.address || old.port !== server.port;
  const obstacle = whyNotAltered(old, server, hasMoved);
  if (obstacle !== null) {
    // Where it was, somebody else may be by now: as one that is gone it gets nothing new.
    const isToLeave = (hasMoved || server.isDisabled) && !old.isDisabled;
    if (!isToLeave) return waits(name, obstacle);
    const commands = [{ ...it, kind: 'maint', ...agentOf(old.options) }] as const;
    return { name, commands, obstacle, becomes: { kind: 'disabled' } };
  }
  const commands: RuntimeCommand[] = [];
  if (hasMoved && at !== null) {
    // One that is out gets its health when it is put back.
    const isChecked = !server.isDisabled && server.options.some(({ keyword }) => keyword === 'check');
    commands.push({ ...it, kind: 're-address', ...at, ...(isChecked && { isChecked }) });
  }
  const unweighed = old.weight === weight ? null : whyNotWeighed(server, wanted, started);
  if (old.weight !== weight && unweighed === null) commands.push({ ...it, kind: 'weight', weight, ...agent });
  if (old.isDisabled !== server.isDisabled)
    commands.push({ ...it, kind: server.isDisabled ? 'maint' : 'ready', ...agent });
  const becomes: Becomes = unweighed === null ? { kind: 'wanted' } : { kind: 'unweighed', weight: old.weight };
  return { name, commands, obstacle: unweighed, becomes: commands.length === 0 ? null : becomes };
}

/** Why it takes another server than the one that is there; null: it does not. */
function whyNotAltered(old: Server, server: Server, hasMoved: boolean): Obstacle | null {
  const { name } = server;
  if (old.key !== server.key || old.unknown !== server.unknown)
    return server.unknown === null ? { code: 'server_changed', detail: name } : notUnderstood(server);
  if (!hasMoved) return null;
  if (addressOf(server) === null || addressOf(old) === null) return { code: 'server_changed', detail: name };
  // A hash over addresses is not made anew when one changes.
  return hashesAddress(server.options) ? { code: 'keyword_not_dynamic', detail: 'hash-key' } : null;
}

function whyNotWeighed(server: Server, wanted: Backend, started: Circumstances['started']): Obstacle | null {
  if (!takesWeight(server, wanted, started)) return notDynamic(wanted);
  // What the agent says is a part of the weight that the server was made with, which no command changes.
  const hasAgent = server.weight !== 0 && agentOf(server.options).hasAgent === true;
  return hasAgent ? { code: 'keyword_not_dynamic', detail: 'agent-check' } : null;
}

function remove(server: Server, wanted: Backend, { isMentioned }: Circumstances): Step {
  const { name, words, options, isDisabled } = server;
  if (wanted.balance === 'unknown') return waits(name, notDynamic(wanted));
  const it = { backend: wanted.name, server: name, ...agentOf(options) };
  if (!isMentioned(name))
    return { name, commands: [{ ...it, kind: 'remove', options: words }], obstacle: null, becomes: { kind: 'gone' } };
  // HAProxy would refuse the file without it: its line stays, and takes it out.
  return {
    name,
    commands: isDisabled ? [] : [{ ...it, kind: 'maint' }],
    obstacle: { code: 'server_removed', detail: `${name}, which is named elsewhere` },
    becomes: isDisabled ? null : { kind: 'disabled' },
  };
}

/** New servers before others leave, rising weights before falling ones: at no moment are there fewer than need be. */
function inSafeOrder(commands: readonly RuntimeCommand[]): readonly RuntimeCommand[] {
  const rank = (command: RuntimeCommand): number => {
    if (command.kind === 'remove' || command.kind === 'maint') return 1000;
    return command.kind === 'weight' && !isReturning(command) ? 500 - command.weight : 0;
  };
  const returning = new Set(commands.filter(({ kind }) => kind === 'ready').map(({ server }) => server));
  const isReturning = ({ server }: RuntimeCommand): boolean => returning.has(server);
  return commands.toSorted((a, b) => rank(a) - rank(b));
}

function isReordered({ ordered: before }: Backend, { ordered: after }: Backend): boolean {
  const kept = (order: readonly string[], other: readonly string[]): string =>
    order.filter((name) => other.includes(name)).join('\n');
  return kept(before, after) !== kept(after, before);
}

/** An added server stands behind those that are there. */
function isLast({ name }: Server, running: Backend, wanted: Backend): boolean {
  const at = wanted.ordered.indexOf(name);
  if (at === -1) return true;
  return wanted.algorithm !== 'first' && !wanted.ordered.slice(at + 1).some((other) => running.servers.has(other));
}

/** Whether one that has not left yet stands where it is wanted, as far as that counts, and can have the weight. */
function isInPlace(server: Server, wanted: Backend, started: Circumstances['started']): boolean {
  if (wanted.balance === 'dynamic') return !wanted.ordered.includes(server.name);
  const first = started();
  if (first === null || !takesWeight(server, wanted, started)) return false;
  return !isReordered(first, wanted);
}

/** Static algorithms know a server with the weight that it was started with, or with none. */
function takesWeight({ name, weight }: Server, { balance }: Backend, started: Circumstances['started']): boolean {
  if (balance === 'dynamic' || (balance === 'static' && weight === 0)) return true;
  return balance === 'static' && started()?.servers.get(name)?.weight === weight;
}

function notInOrder({ algorithm }: Backend): Obstacle {
  const what = algorithm === 'first' ? algorithm : 'backup';
  return { code: 'balance_not_dynamic', detail: `${what}, which goes by the order` };
}

function notDynamic({ algorithm }: Backend): Obstacle {
  return { code: 'balance_not_dynamic', detail: algorithm };
}

function isProven({ proof }: Server, running: Backend, started: () => Backend | null): boolean {
  const isAmong = ({ servers }: Backend): boolean => [...servers.values()].some((each) => each.proof === proof);
  if (proof === '' || isAmong(running)) return true;
  const first = started();
  return first?.structure === running.structure && isAmong(first);
}

function addressOf({ address, port }: Server): { readonly address: string; readonly port: number } | null {
  if (port === null || port > 65_535 || parseAddress(address) === null) return null;
  return { address, port };
}

function notUnderstood({ name, unknown }: Server): Obstacle {
  if (unknown !== null) return { code: 'keyword_not_dynamic', detail: unknown };
  return { code: 'backend_not_plain', detail: `the address of server ${name}` };
}

/** Of every server that the backend has or gets; those that are there keep theirs. */
function idsOf(running: Backend, wanted: Backend, leaving: readonly LeavingServer[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  const give = (name: string, id: number): void => {
    ids.set(name, id);
    taken.add(id);
  };
  const servers = [...running.servers.values(), ...wanted.servers.values()];
  for (const { name, options } of servers) {
    const id = lastValue(options, 'id');
    if (id !== undefined) give(name, Number(id));
  }
  for (const name of [...running.servers.keys(), ...leaving.map(({ server }) => server), ...wanted.servers.keys()])
    if (!ids.has(name)) give(name, serverId(name, taken));
  return ids;
}

function hashesAddress(options: readonly Option[]): boolean {
  return options.some(({ keyword, args }) => keyword === 'hash-key' && args[0] !== 'id');
}
