/** One server of a backend in which only servers differ: the commands that bring it there, or what stands in the way. */

import { parseAddress } from '../../../../lib/net/address.ts';
import type { LeavingServer, ServerCommand } from '../../../../model.ts';
import { type Capabilities, maxCommandWords, whyNotAdded } from '../../../binary/capabilities.ts';
import { isCliWord } from '../../../cli/words.ts';
import type { Obstacle } from '../../resource.ts';
import type { Backend, Server } from './backend.ts';
import { agentOf, expandDefaults, keyOf, maxconnOf, type Option, parseOptions, wordsOf } from './options.ts';
import type { Becomes } from './section.ts';

export type Circumstances = {
  readonly capabilities: Capabilities;
  /** Of this backend: servers that were removed and still finish their connections, or cannot be deleted. */
  readonly leaving: readonly LeavingServer[];
  /** The backend that HAProxy was started with, so it is proven; it may hold more kinds of servers than now. */
  readonly started: () => Backend | null;
  /** Whether anything in the desired file names this server. */
  readonly isMentioned: (server: string) => boolean;
};

type Bringing = Circumstances & { readonly ids: ReadonlyMap<string, number> };

/** What happens to one server. */
export type Step = {
  readonly name: string;
  readonly commands: readonly ServerCommand[];
  /** Why more than that waits for a reload. */
  readonly obstacle: Obstacle | null;
  /** null: what it was. */
  readonly becomes: Becomes | null;
};

type Subject = Pick<ServerCommand, 'kind' | 'backend' | 'server'>;

function waits(name: string, obstacle: Obstacle): Step {
  return { name, commands: [], obstacle, becomes: null };
}

/** Adds a server that the running HAProxy does not serve with. */
export function bring(server: Server, running: Backend, desired: Backend, circumstances: Bringing): Step {
  const { name, weight } = server;
  const { started, capabilities } = circumstances;
  const at = addressOf(server);
  if (at === null || server.unknown !== null) return waits(name, notUnderstood(server));
  const it = { kind: 'server', backend: desired.name, server: name } as const;
  const presence = { ...it, action: server.isDisabled ? 'maint' : 'ready', ...agentOf(server.options) } as const;
  const left = circumstances.leaving.find((each) => each.server === name);
  if (left !== undefined) {
    const has = parseOptions(left.options);
    if (has.unknown !== null || keyOf(has.options) !== server.key)
      return waits(name, { code: 'server_changed', detail: `${name}, which still leaves, with other options` });
    if (!isInPlace(server, desired, started))
      return waits(name, desired.balance === 'dynamic' ? notInOrder(desired) : notDynamic(desired));
    const limited = limit(it, maxconnOf(has.options), server);
    if (limited !== null && !capabilities.serverMaxconn) return waits(name, notLimited(capabilities));
    // A server that is out gets its health when it is put back.
    const isChecked = left.isServing && server.options.some(({ keyword }) => keyword === 'check');
    const placed = [
      { ...it, action: 're-address', ...at, ...(isChecked && { isChecked }) },
      { ...it, action: 'weight', weight },
    ] as const;
    const commands = [...placed, ...(limited === null ? [] : [limited]), presence];
    return { name, commands, obstacle: null, becomes: { kind: 'desired' } };
  }
  if (desired.balance !== 'dynamic') return waits(name, notDynamic(desired));
  if (!isLast(server, running, desired)) return waits(name, notInOrder(desired));
  const expanded = expandDefaults(server.options);
  const { algorithm, hasExternalChecks, dynamicCookie } = desired;
  const refused = whyNotAdded(capabilities, { options: expanded, algorithm, hasExternalChecks });
  if (refused !== null) return waits(name, { detail: '', ...refused });
  if (!hasAcceptedOptions(server, running, started)) return waits(name, { code: 'options_unproven', detail: name });
  const options = [
    ...capabilities.forgottenDefaults,
    ...wordsOf(expanded.filter(({ keyword }) => keyword !== 'id')),
    'id',
    `${circumstances.ids.get(name) ?? 0}`,
  ];
  const isTooLong =
    options.length > maxOptionWords ||
    2 * options.join(' ').length + bytesBesideOptions > circumstances.capabilities.maxLineBytes;
  if (isTooLong || !options.every(isCliWord))
    return waits(name, { code: 'backend_not_plain', detail: `the options of server ${name}` });
  const has = (keyword: string): boolean => expanded.some((option) => option.keyword === keyword);
  const checks = [...(has('check') ? ['health' as const] : []), ...(has('agent-check') ? ['agent' as const] : [])];
  return {
    name,
    // HAProxy creates the server in maintenance.
    commands: [
      { ...it, action: 'add', ...at, weight, options, checks, dynamicCookie },
      ...(server.isDisabled ? [] : [presence]),
    ],
    obstacle: null,
    becomes: { kind: 'desired' },
  };
}

/** `add server NAME ADDRESS weight N`, and one to spare: `usesrc` and the like are counted by some versions. */
const wordsBesideOptions = 7;
export const maxOptionWords = maxCommandWords - wordsBesideOptions;

/** Names, the text around each command, and the commands that follow. Escapes may double the options. */
const bytesBesideOptions = 1000;

export function alter(old: Server, server: Server, desired: Backend, circumstances: Circumstances): Step {
  const { started, capabilities } = circumstances;
  const { name, weight } = server;
  const it = { kind: 'server', backend: desired.name, server: name } as const;
  const agent = agentOf(server.options);
  const at = addressOf(server);
  const hasMoved = old.address !== server.address || old.port !== server.port;
  const limited = limit(it, old.maxconn, server);
  const isUnlimitable = limited !== null && !capabilities.serverMaxconn;
  const obstacle = whyNotAltered(old, server, hasMoved) ?? (isUnlimitable ? notLimited(capabilities) : null);
  if (obstacle !== null) {
    // Another service may use the old address by now, so the server gets no new connections, like a removed one.
    const isToLeave = (hasMoved || server.isDisabled) && !old.isDisabled;
    if (!isToLeave) return waits(name, obstacle);
    const commands = [{ ...it, action: 'maint', ...agentOf(old.options) }] as const;
    return { name, commands, obstacle, becomes: { kind: 'disabled' } };
  }
  const commands: ServerCommand[] = [];
  if (hasMoved && at !== null) {
    // A server that is out gets its health when it is put back.
    const isChecked = !server.isDisabled && server.options.some(({ keyword }) => keyword === 'check');
    commands.push({ ...it, action: 're-address', ...at, ...(isChecked && { isChecked }) });
  }
  const unweighed = old.weight === weight ? null : whyNotWeighed(server, desired, started);
  if (old.weight !== weight && unweighed === null) commands.push({ ...it, action: 'weight', weight, ...agent });
  if (limited !== null) commands.push(limited);
  if (old.isDisabled !== server.isDisabled)
    commands.push({ ...it, action: server.isDisabled ? 'maint' : 'ready', ...agent });
  const becomes: Becomes = unweighed === null ? { kind: 'desired' } : { kind: 'unweighed', weight: old.weight };
  return { name, commands, obstacle: unweighed, becomes: commands.length === 0 ? null : becomes };
}

/** Changes the limit from `before` connections; null: it is as desired. */
function limit(it: Subject, before: number | null, { maxconn }: Server): ServerCommand | null {
  return maxconn === null || maxconn === before ? null : { ...it, action: 'maxconn', maxconn };
}

/** Why a new server has to replace the present one; null: it need not. */
function whyNotAltered(old: Server, server: Server, hasMoved: boolean): Obstacle | null {
  const { name } = server;
  if (old.key !== server.key || old.unknown !== server.unknown)
    return server.unknown === null ? { code: 'server_changed', detail: name } : notUnderstood(server);
  if (!hasMoved) return null;
  if (addressOf(server) === null || addressOf(old) === null) return { code: 'server_changed', detail: name };
  // HAProxy does not recompute a hash over addresses when one changes.
  return hashesAddress(server.options) ? { code: 'keyword_not_dynamic', detail: 'hash-key' } : null;
}

function whyNotWeighed(server: Server, desired: Backend, started: Circumstances['started']): Obstacle | null {
  if (!takesWeight(server, desired, started)) return notDynamic(desired);
  // The agent reports a part of the server's initial weight, which no command changes.
  const hasAgent = server.weight !== 0 && agentOf(server.options).hasAgent === true;
  return hasAgent ? { code: 'keyword_not_dynamic', detail: 'agent-check' } : null;
}

export function remove(server: Server, desired: Backend, { isMentioned }: Circumstances): Step {
  const { name, words, options, isDisabled } = server;
  if (desired.balance === 'unknown') return waits(name, notDynamic(desired));
  const it = { kind: 'server', backend: desired.name, server: name, ...agentOf(options) } as const;
  if (!isMentioned(name))
    return { name, commands: [{ ...it, action: 'remove', options: words }], obstacle: null, becomes: { kind: 'gone' } };
  // HAProxy would refuse the file without this server: its line stays, and takes the server out.
  return {
    name,
    commands: isDisabled ? [] : [{ ...it, action: 'maint' }],
    obstacle: { code: 'server_removed', detail: `${name}, which is named elsewhere` },
    becomes: isDisabled ? null : { kind: 'disabled' },
  };
}

export function isReordered({ ordered: before }: Backend, { ordered: after }: Backend): boolean {
  const common = (order: readonly string[], other: readonly string[]): string =>
    order.filter((name) => other.includes(name)).join('\n');
  return common(before, after) !== common(after, before);
}

/** Whether the server stands last: an added server stands behind the present ones. */
function isLast({ name }: Server, running: Backend, desired: Backend): boolean {
  const at = desired.ordered.indexOf(name);
  if (at === -1) return true;
  return desired.algorithm !== 'first' && !desired.ordered.slice(at + 1).some((other) => running.servers.has(other));
}

/** Whether a leaving server stands at its desired position, as far as that matters, and can have the weight. */
function isInPlace(server: Server, desired: Backend, started: Circumstances['started']): boolean {
  if (desired.balance === 'dynamic') return !desired.ordered.includes(server.name);
  const first = started();
  if (first === null || !takesWeight(server, desired, started)) return false;
  return !isReordered(first, desired);
}

/** Static algorithms know a server with the weight that it was started with, or with none. */
function takesWeight({ name, weight }: Server, { balance }: Backend, started: Circumstances['started']): boolean {
  if (balance === 'dynamic' || (balance === 'static' && weight === 0)) return true;
  return balance === 'static' && started()?.servers.get(name)?.weight === weight;
}

function notLimited({ version }: Capabilities): Obstacle {
  return { code: 'capability_missing', detail: `set maxconn server, on HAProxy ${version.text}` };
}

function notInOrder({ algorithm }: Backend): Obstacle {
  const what = algorithm === 'first' ? algorithm : 'backup';
  return { code: 'balance_not_dynamic', detail: `${what}, which goes by the order` };
}

function notDynamic({ algorithm }: Backend): Obstacle {
  return { code: 'balance_not_dynamic', detail: algorithm };
}

function hasAcceptedOptions({ signature }: Server, running: Backend, started: () => Backend | null): boolean {
  const isAmong = ({ servers }: Backend): boolean => [...servers.values()].some((each) => each.signature === signature);
  if (signature === '' || isAmong(running)) return true;
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

function hashesAddress(options: readonly Option[]): boolean {
  return options.some(({ keyword, args }) => keyword === 'hash-key' && args[0] !== 'id');
}
