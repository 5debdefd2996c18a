/**
 * A backend of ours in which only servers differ: the commands that bring the running HAProxy there, or what stands in
 * the way of it.
 */
import { parseAddress } from '../address.ts';
import { type Capabilities, maxCommandWords, whyNotAdded } from '../haproxy/capabilities.ts';
import { isCliWord } from '../haproxy/runtime-commands.ts';
import { serverId } from '../haproxy/server-id.ts';
import type { LeavingServer, ReloadCode, RuntimeCommand } from '../model.ts';
import type { Backend, Server } from './backend.ts';
import { names } from './names.ts';
import { agentOf, lastValue, type Option, spellOut, wordsOf } from './options.ts';

type Obstacle = { readonly code: ReloadCode; readonly detail: string };

export type Change =
  | { readonly kind: 'commands'; readonly commands: readonly RuntimeCommand[] }
  | { readonly kind: 'obstacles'; readonly obstacles: readonly Obstacle[] };

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
  const obstacles = new Map<ReloadCode, string[]>();
  const commands: RuntimeCommand[] = [];
  const ids = idsOf(running, wanted, circumstances.leaving);
  const attempt = (outcome: Outcome): void => {
    if ('code' in outcome) obstacles.set(outcome.code, [...(obstacles.get(outcome.code) ?? []), outcome.detail]);
    else for (const command of outcome.commands) commands.push(command);
  };
  if (isReordered(running, wanted)) attempt({ code: 'option_changed', detail: 'order' });
  for (const server of wanted.servers.values()) {
    const old = running.servers.get(server.name);
    if (old === undefined) attempt(bring(server, running, wanted, { ...circumstances, ids }));
    else attempt(alter(old, server, wanted));
  }
  for (const server of running.servers.values())
    if (!wanted.servers.has(server.name)) attempt(remove(server, wanted, circumstances));
  const notPlain = running.notPlain ?? wanted.notPlain;
  // Whatever else stands in the way was read from what is not understood.
  if (notPlain !== null && commands.length + obstacles.size > 0)
    return { kind: 'obstacles', obstacles: [{ code: 'backend_not_plain', detail: notPlain }] };
  if (obstacles.size === 0) return { kind: 'commands', commands: inSafeOrder(commands) };
  return {
    kind: 'obstacles',
    obstacles: [...obstacles].map(([code, details]) => ({ code, detail: names([...new Set(details)]) })),
  };
}

type Bringing = Circumstances & { readonly ids: ReadonlyMap<string, number> };

type Outcome = Obstacle | { readonly commands: readonly RuntimeCommand[] };

/** A server that has to be in the running HAProxy and is not among those that it serves with. */
function bring(server: Server, running: Backend, wanted: Backend, circumstances: Bringing): Outcome {
  const { name, weight } = server;
  const at = addressOf(server);
  if (at === null || server.unknown !== null) return notUnderstood(server);
  if (!wanted.isDynamic) return { code: 'balance_not_dynamic', detail: wanted.algorithm };
  if (wanted.isOrdered) return { code: 'balance_not_dynamic', detail: `${wanted.algorithm}, which goes by the order` };
  const it = { backend: wanted.name, server: name };
  const ready: RuntimeCommand = { ...it, kind: 'ready', ...agentOf(server.options) };
  const left = circumstances.leaving.find((each) => each.server === name);
  if (left !== undefined) {
    if (left.options.join('\0') !== server.key)
      return { code: 'server_changed', detail: `${name}, which still leaves, with other options` };
    return {
      commands: [{ ...it, kind: 're-address', ...at }, { ...it, kind: 'weight', weight }, ready],
    };
  }
  const spelled = spellOut(server.options);
  const { algorithm, hasExternalChecks, dynamicCookie } = wanted;
  const refused = whyNotAdded(circumstances.capabilities, { options: spelled, algorithm, hasExternalChecks });
  if (refused !== null) return { detail: '', ...refused };
  if (!isProven(server, running, circumstances.started)) return { code: 'options_unproven', detail: name };
  const options = [
    ...circumstances.capabilities.forgottenDefaults,
    ...wordsOf(spelled.filter(({ keyword }) => keyword !== 'id')),
    'id',
    `${circumstances.ids.get(name) ?? 0}`,
  ];
  const isTooLong =
    options.length > maxCommandWords - wordsBesideOptions || options.join(' ').length > maxOptionsLength;
  if (isTooLong || !options.every(isCliWord))
    return { code: 'backend_not_plain', detail: `the options of server ${name}` };
  const has = (keyword: string): boolean => spelled.some((option) => option.keyword === keyword);
  const checks = [...(has('check') ? ['health' as const] : []), ...(has('agent-check') ? ['agent' as const] : [])];
  return {
    commands: [{ ...it, kind: 'add', ...at, weight, options, checks, dynamicCookie }, ready],
  };
}

/** `add server NAME ADDRESS weight N`, and one to spare: `usesrc` and the like are counted by some versions. */
const wordsBesideOptions = 7;

/** A line of the runtime API holds 16 kB at most, escapes and the rest included. */
const maxOptionsLength = 3000;

function alter(old: Server, server: Server, wanted: Backend): Outcome {
  if (old.key !== server.key || old.unknown !== server.unknown)
    return server.unknown === null ? { code: 'server_changed', detail: server.name } : notUnderstood(server);
  const it = { backend: wanted.name, server: server.name };
  const commands: RuntimeCommand[] = [];
  if (old.address !== server.address || old.port !== server.port) {
    const at = addressOf(server);
    if (at === null || addressOf(old) === null) return { code: 'server_changed', detail: server.name };
    // A hash over addresses is not made anew when one changes.
    if (hashesAddress(server.options)) return { code: 'keyword_not_dynamic', detail: 'hash-key' };
    commands.push({ ...it, kind: 're-address', ...at });
  }
  if (old.weight !== server.weight) {
    if (!wanted.isDynamic) return { code: 'balance_not_dynamic', detail: wanted.algorithm };
    const agent = agentOf(server.options);
    // What the agent says is a part of the weight that the server was made with, which no command changes.
    if (agent.hasAgent && server.weight !== 0) return { code: 'keyword_not_dynamic', detail: 'agent-check' };
    commands.push({ ...it, kind: 'weight', weight: server.weight, ...agent });
  }
  return { commands };
}

function remove(server: Server, wanted: Backend, { isMentioned }: Circumstances): Outcome {
  const { name, unknown, options } = server;
  if (!wanted.isDynamic) return { code: 'balance_not_dynamic', detail: wanted.algorithm };
  if (unknown !== null) return notUnderstood(server);
  // The file would be refused at the next start; let that be known now.
  if (isMentioned(name)) return { code: 'server_removed', detail: `${name}, which is named elsewhere` };
  const it = { backend: wanted.name, server: name };
  return { commands: [{ ...it, kind: 'remove', options: wordsOf(options), ...agentOf(options) }] };
}

/** New servers before others leave, rising weights before falling ones: at no moment are there fewer than need be. */
function inSafeOrder(commands: readonly RuntimeCommand[]): readonly RuntimeCommand[] {
  const rank = (command: RuntimeCommand): number => {
    if (command.kind === 'remove') return 1000;
    return command.kind === 'weight' && !isReturning(command) ? 500 - command.weight : 0;
  };
  const returning = new Set(commands.filter(({ kind }) => kind === 'ready').map(({ server }) => server));
  const isReturning = ({ server }: RuntimeCommand): boolean => returning.has(server);
  return commands.toSorted((a, b) => rank(a) - rank(b));
}

/** Only `first` cares for the order: it fills the servers one after the other. */
function isReordered(running: Backend, wanted: Backend): boolean {
  if (!wanted.isOrdered) return false;
  const kept = (of: Backend, other: Backend): string =>
    [...of.servers.keys()].filter((name) => other.servers.has(name)).join('\n');
  return kept(running, wanted) !== kept(wanted, running);
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
