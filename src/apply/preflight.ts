/**
 * Tries beforehand what `haproxy -c` does not: whether HAProxy will get the addresses that it does not hold yet. A
 * start that fails on one costs the serving process nothing, but here the holder can be named and nothing was written.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { hasCode } from '../errors.ts';
import { type BindAddress, bindsOverlap, parseBind } from '../haproxy/bind.ts';
import { ask, nobodyListens } from '../haproxy/socket.ts';
import { linesOf } from '../haproxy/text.ts';
import type { Problem, Section } from '../model.ts';
import { fdProblem, readFdLimit } from './fd-limit.ts';
import { holderOf, holdingPid } from './holder.ts';

export type Preflight = {
  readonly problems: readonly Problem[];
  /** Frontends of the running config whose address has another form now, such as `*:80` for `127.0.0.1:80`. */
  readonly inTheWay: readonly string[];
};

type Surroundings = {
  /** Hands on what it holds, whatever its sections are; null: nobody does. */
  readonly handingOn?: number | null;
  /** Of HAProxy; null where it is not known. */
  readonly fdLimit?: number | null;
};

/** `running` are the sections of the process that hands its listening sockets on; empty where they are not known. */
export async function preflight(
  wanted: readonly Section[],
  running: readonly Section[],
  { handingOn = null, fdLimit = readFdLimit() }: Surroundings = {},
): Promise<Preflight> {
  const held = listenersOf(running);
  const heldKeys = new Set(held.map(({ address }) => keyOf(address)));
  const problems: Problem[] = [];
  const inTheWay = new Set<string>();
  for (const listener of listenersOf(wanted)) {
    if (heldKeys.has(keyOf(listener.address))) continue;
    const own = held.filter(({ address }) => bindsOverlap(address, listener.address));
    for (const { section } of own) if (section.name !== '') inTheWay.add(section.name);
    const message = own.length > 0 ? null : await tryAddress(listener, handingOn);
    if (message === null) continue;
    problems.push({
      message: `${listener.what}: ${message}`,
      line: listener.line,
      service: listener.section.service,
      code: 'MYELIN_PORT_TAKEN',
    });
  }
  const tooFewFds = fdProblem(wanted, fdLimit);
  if (tooFewFds !== null) problems.push({ message: tooFewFds, service: null });
  return { problems, inTheWay: [...inTheWay] };
}

type Listener = {
  readonly address: BindAddress;
  readonly section: Section;
  /** 1-based line in the whole file. */
  readonly line: number;
  /** As it is written there. */
  readonly what: string;
};

function listenersOf(sections: readonly Section[]): readonly Listener[] {
  const listeners: Listener[] = [];
  let line = 0;
  for (const section of sections) {
    for (const text of linesOf(section.text)) {
      line += 1;
      const [, keyword, rest] = /^\s*(bind|stats\s+socket)\s+(.+)$/.exec(text) ?? [];
      if (rest === undefined || keyword === undefined) continue;
      for (const address of parseBind(rest).addresses)
        listeners.push({ address, section, line, what: `${keyword} ${rest.trim()}` });
    }
  }
  return listeners;
}

function keyOf(address: BindAddress): string {
  return JSON.stringify(Object.entries(address).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What keeps us from listening there; null where nothing does, or where only HAProxy itself can know. */
async function tryAddress({ address, what }: Listener, handingOn: number | null): Promise<string | null> {
  switch (address.kind) {
    case 'tcp':
    case 'udp': {
      if (address.interface !== null || address.namespace !== null) return null;
      for (let port = address.port; port <= address.portEnd; port++) {
        const error = await (address.kind === 'tcp' ? listenTcp : listenUdp)(address, port);
        const isHandedOn = (): boolean =>
          handingOn !== null && holdingPid(address.kind, address.host, port) === handingOn;
        if (hasCode(error, 'EADDRINUSE') && !isHandedOn())
          return `port ${port} is held by ${holderOf(address.kind, address.host, port)}`;
        // HAProxy can be told to listen on an address that this machine does not have yet.
        if (hasCode(error, 'EADDRNOTAVAIL') && !/\stransparent(\s|$)/.test(what))
          return `this machine has no address ${address.host}`;
      }
      // All else is HAProxy's to say: its executable may have rights that Myelin does not have.
      return null;
    }
    case 'unix':
      return (await isAnswered(address.path, handingOn))
        ? `${holderOf('unix', address.path, 0)} listens on this socket`
        : null;
    case 'abns':
    case 'other':
      return null;
  }
}

type InetAddress = Extract<BindAddress, { kind: 'tcp' | 'udp' }>;

/** Node listens without SO_REUSEPORT, so that nobody's socket is shared by accident. */
function listenTcp({ host, family }: InetAddress, port: number): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const server = createServer((connection) => connection.destroy());
  server.once('error', resolve);
  server.listen({ host: host ?? wildcard(family), port, exclusive: true, ipv6Only: family === 6 }, () =>
    server.close(() => resolve(null)),
  );
  return promise;
}

function listenUdp({ host, family }: InetAddress, port: number): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 });
  socket.once('error', (error) => socket.close(() => resolve(error)));
  socket.bind({ address: host ?? wildcard(family), port, exclusive: true }, () => socket.close(() => resolve(null)));
  return promise;
}

function wildcard(family: InetAddress['family']): string {
  return family === 4 ? '0.0.0.0' : '::';
}

/** HAProxy would push aside whoever listens there: it renames its own socket over the path. */
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
