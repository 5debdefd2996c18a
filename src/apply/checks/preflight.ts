/**
 * Tests what `haproxy -c` does not: whether HAProxy will get the addresses that it does not hold yet. A failed
 * start costs the serving process nothing, but this test can name the owner of the address before anything is written.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { createServer, isIP } from 'node:net';
import { maskLines } from '../../config/read/mask.ts';
import { hasCode } from '../../errors.ts';
import { ask, nobodyListens } from '../../haproxy/cli/socket.ts';
import { type BindAddress, bindsOverlap, parseBind } from '../../haproxy/text/bind.ts';
import { type PlacedLine, placedLines } from '../../haproxy/text/layout/layout.ts';
import type { Problem, Section } from '../../model.ts';
import type { Moves } from '../process/start/start.ts';
import { holds, ownerOfPort } from '../system/port-owner.ts';
import { fdProblem, readFdLimit } from './fd-limit.ts';

export type Preflight = {
  readonly problems: readonly Problem[];
  /** What this process may not do, and HAProxy perhaps may: its executable may have rights of its own. */
  readonly doubts: readonly Problem[];
  readonly moves: Moves;
};

type Surroundings = {
  /** PID of the process that hands its listening sockets on, where HAProxy can use them; null: there is none. */
  readonly handingOn?: number | null;
  /** HAProxy's limit; null where it is not known. */
  readonly fdLimit?: number | null;
};

/** `running` are the sections of the process that hands its listening sockets on; empty where they are not known. */
export async function preflight(
  wanted: readonly Section[],
  running: readonly Section[],
  { handingOn = null, fdLimit = readFdLimit() }: Surroundings = {},
): Promise<Preflight> {
  const [listeners, held] = await Promise.all([listenersOf(wanted), listenersOf(running)]);
  const heldByKey = Map.groupBy(held, ({ key }) => key);
  const problems: Problem[] = [];
  const doubts: Problem[] = [];
  const inTheWay = new Set<Section>();
  for (const { key, address, line } of listeners) {
    // HAProxy may skip a line inside an `.if`.
    if (heldByKey.get(key)?.some((same) => !same.line.isConditional)) continue;
    const own = held.filter((other) => other.key !== key && bindsOverlap(other.address, address));
    const obstacle = await tryAddress(address, handingOn);
    if (own.length > 0) {
      if ((obstacle === null || obstacle.kind === 'forbidden') && !isHidden(address)) continue;
      for (const other of own) if (canLetGo(other.line.section)) inTheWay.add(other.line.section);
    } else if (obstacle !== null && obstacle.kind !== 'handed_on' && !line.isConditional) {
      const problem = { line: line.number, text: maskLines(line.text).trim(), service: line.section.service };
      if (obstacle.kind === 'forbidden') doubts.push({ ...problem, message: obstacle.why });
      else
        problems.push({ ...problem, message: `${obstacle.why}${remedyFor(line.section)}`, code: 'MYELIN_PORT_TAKEN' });
    }
  }
  const isKept = ({ key, line }: Listener): boolean =>
    canLetGo(line.section) && (heldByKey.get(key) ?? []).some((same) => inTheWay.has(same.line.section));
  const kept = listeners.filter(isKept).map(({ line }) => line.section);
  const tooFewFds = fdProblem(wanted, fdLimit);
  if (tooFewFds !== null) problems.push(tooFewFds);
  return { problems, doubts, moves: { inTheWay: namesOf([...inTheWay]), kept: namesOf(kept) } };
}

/** At the stats socket listens a HAProxy, as a rule. */
function remedyFor({ kind }: Section): string {
  return kind === 'global' ? '; if that is a HAProxy, `myelin run --take-over` takes its place without a gap' : '';
}

/** The frontends of `running` that hold an address which `wanted` has in another form, as far as the text tells. */
export async function movingFrontends(
  wanted: readonly Section[],
  running: readonly Section[],
): Promise<readonly string[]> {
  const [listeners, held] = await Promise.all([listenersOf(wanted), listenersOf(running)]);
  const heldKeys = new Set(held.map(({ key }) => key));
  const moved = listeners.filter(({ key }) => !heldKeys.has(key));
  const holders = held.filter(({ address }) => moved.some((one) => bindsOverlap(address, one.address)));
  return namesOf(holders.map(({ line }) => line.section).filter(canLetGo));
}

type Listener = {
  /** One port of a range; a name is resolved where that is possible. */
  readonly address: BindAddress;
  /** Equal for two addresses where HAProxy can use the socket of one for the other. */
  readonly key: string;
  readonly line: PlacedLine;
};

async function listenersOf(sections: readonly Section[]): Promise<readonly Listener[]> {
  const written = placedLines(sections).flatMap((line) => {
    const [, rest] = /^\s*(?:bind|stats\s+socket)\s+(.+)$/.exec(line.text) ?? [];
    if (rest === undefined) return [];
    return parseBind(rest).addresses.flatMap((range) => portsOf(range).map((address) => ({ address, line })));
  });
  const names = new Set(written.flatMap(({ address }) => nameIn(address) ?? []));
  const resolved = new Map(await Promise.all([...names].map(async (name) => [name, await resolve(name)] as const)));
  return written.map((listener) => {
    const address = { ...listener.address, ...resolved.get(nameIn(listener.address) ?? '') };
    return { ...listener, address, key: keyOf(address) };
  });
}

function portsOf(address: BindAddress): readonly BindAddress[] {
  if (!('port' in address)) return [address];
  const { port, portEnd } = address;
  return Array.from({ length: portEnd - port + 1 }, (_, n) => ({ ...address, port: port + n, portEnd: port + n }));
}

/** null where the address has no name: an IP address, all addresses, no network. */
function nameIn(address: BindAddress): string | null {
  return 'host' in address && address.host !== null && isIP(address.host) === 0 ? address.host : null;
}

/** Resolves a name as HAProxy does: to the system's first address for it. Empty where the system has none. */
async function resolve(name: string): Promise<{ readonly host?: string; readonly family?: 4 | 6 }> {
  const found = await lookup(name).catch(() => null);
  return found === null ? {} : { host: found.address, family: found.family === 6 ? 6 : 4 };
}

function keyOf(address: BindAddress): string {
  return JSON.stringify(Object.entries(address).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether this process cannot test the address. */
function isHidden(address: BindAddress): boolean {
  return 'interface' in address && (address.interface !== null || address.namespace !== null);
}

/** Whether HAProxy can release the addresses of this section for a moment, on command. */
function canLetGo({ kind }: Section): boolean {
  return kind === 'frontend' || kind === 'listen';
}

function namesOf(sections: readonly Section[]): readonly string[] {
  return [...new Set(sections.map(({ name }) => name))];
}

/** What a user can do who may not listen on a port below 1024. */
export const privileged =
  'take a port from 1024 on, or give HAProxy the right (`setcap cap_net_bind_service=+ep` for its executable, ' +
  'or `sysctl net.ipv4.ip_unprivileged_port_start=0`)';

type Obstacle = { readonly kind: 'handed_on' } | { readonly kind: 'taken' | 'forbidden'; readonly why: string };

/** What prevents listening on the address; null where nothing does, or where only HAProxy can know. */
async function tryAddress(address: BindAddress, handingOn: number | null): Promise<Obstacle | null> {
  switch (address.kind) {
    case 'tcp':
    case 'udp': {
      if (isHidden(address)) return null;
      const { kind, host, port } = address;
      const error = await (kind === 'tcp' ? listenTcp(address) : listenUdp(address));
      if (hasCode(error, 'EADDRINUSE')) {
        if (handingOn !== null && holds(handingOn, kind, host, port)) return { kind: 'handed_on' };
        return { kind: 'taken', why: `port ${port} is held by ${ownerOfPort(kind, host, port)}` };
      }
      if (hasCode(error, 'EADDRNOTAVAIL') && !address.isTransparent)
        return { kind: 'taken', why: `this machine has no address ${host}` };
      if (hasCode(error, 'EACCES'))
        return { kind: 'forbidden', why: `this user may not listen on port ${port}: ${privileged}` };
      // Only HAProxy can judge other errors.
      return null;
    }
    case 'unix':
      return (await isAnswered(address.path, handingOn))
        ? { kind: 'taken', why: `${ownerOfPort('unix', address.path, 0)} listens on this socket` }
        : null;
    case 'abns':
    case 'other':
      return null;
  }
}

type InetAddress = Extract<BindAddress, { kind: 'tcp' | 'udp' }>;

/** Node listens without SO_REUSEPORT, so that nobody's socket is shared by accident. */
function listenTcp({ host, family, port }: InetAddress): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const server = createServer((connection) => connection.destroy());
  server.once('error', resolve);
  server.listen({ host: host ?? wildcard(family), port, exclusive: true, ipv6Only: family === 6 }, () =>
    server.close(() => resolve(null)),
  );
  return promise;
}

function listenUdp({ host, family, port }: InetAddress): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 });
  socket.once('error', (error) => socket.close(() => resolve(error)));
  socket.bind({ address: host ?? wildcard(family), port, exclusive: true }, () => socket.close(() => resolve(null)));
  return promise;
}

function wildcard(family: InetAddress['family']): string {
  return family === 4 ? '0.0.0.0' : '::';
}

/** HAProxy would push the present listener aside: HAProxy renames its own socket over the path. */
async function isAnswered(path: string, handingOn: number | null): Promise<boolean> {
  try {
    const answer = await ask(path, ['show info'], { timeoutMs: 500 });
    return handingOn === null || !answer.split('\n').includes(`Pid: ${handingOn}`);
  } catch (error) {
    return (
      !nobodyListens(error) && !hasCode(error instanceof Error ? error.cause : null, 'ENOTSOCK', 'EACCES', 'ENOTDIR')
    );
  }
}
