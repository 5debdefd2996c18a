/** Finds listeners that could not start because an earlier one holds their address. */
import { type BindAddress, bindsOverlap, needsCertificates, parseBind } from '../../haproxy/text/bind.ts';
import type { Path } from '../problems.ts';
import type { ParsedService } from '../schema/service.ts';
import { parseListen } from '../values.ts';
import type { Judge } from './judge.ts';
import type { Parts } from './parts.ts';

export type Listener = { readonly path: Path; readonly text: string; readonly address: BindAddress };

/** Of two listeners that collide, the later one is reported. */
export function checkBinds(parts: Parts, judge: Judge): void {
  checkCertificates(parts, judge);
  const held = new Held();
  for (const listener of listenersOf(parts, judge)) {
    const holder = held.holderOf(listener);
    if (holder === undefined) held.add(listener);
    else {
      const where = holder.path === listener.path ? 'the same line' : judge.describe(holder.path);
      const message = `${listener.text} is taken by ${holder.text} of ${where}: give one of them another address or port`;
      judge.report(listener.path, message);
    }
  }
}

/** HAProxy starts no listener with TLS and without a certificate. */
function checkCertificates({ rest: { haproxy, frontends = {} }, services }: Parts, judge: Judge): void {
  const check = (path: Path, text: string, lines: readonly string[], remedy: string): void => {
    if (!needsCertificates(text) || lines.some((line) => line.includes('ssl-f-use'))) return;
    judge.report(path, `has \`ssl\` and no certificate, which HAProxy refuses: ${remedy}`);
  };
  const onTheLine = 'write `crt` and the path of one, with its key, behind it';
  for (const [name, { bind, lines, certificates }] of Object.entries(frontends))
    if (certificates === undefined)
      for (const [index, text] of bind.entries())
        check(
          judge.pathOfItem(['frontends', name, 'bind'], index),
          text,
          lines,
          'set `certificates: ./certs`, a folder of them, for the frontend (where it is empty, one is generated), or ' +
            onTheLine,
        );
  for (const [name, { bind, frontend }] of services)
    for (const [index, text] of (bind ?? []).entries())
      check(judge.pathOfItem(['services', name, 'bind'], index), text, frontend, onTheLine);
  for (const page of ['stats', 'prometheus'] as const) {
    const text = haproxy?.[page]?.bind;
    if (text !== undefined) check(['haproxy', page, 'bind'], text, [], onTheLine);
  }
}

/** All listeners of this config: Myelin, HAProxy's own pages, hand-written sections, shared frontends and services. */
export function listenersOf(parts: Listening, judge: ListenersJudge): Listener[] {
  return [...ownListeners(parts, judge), ...haproxyListeners(parts, judge)];
}

type Listening = {
  readonly rest: Partial<Pick<Parts['rest'], 'admin' | 'probes' | 'haproxy' | 'frontends'>>;
  readonly services: ReadonlyMap<string, Pick<ParsedService, 'bind' | 'frontend'>>;
};
type ListenersJudge = Pick<Judge, 'report' | 'isRefused' | 'pathOfItem'>;

/** For a config that is already validated. */
export const judgeless: ListenersJudge = { report: () => {}, isRefused: () => false, pathOfItem: (list) => list };

/** Listeners by port and host, because comparing every pair takes minutes for thousands of services. */
export class Held {
  readonly #slots = new Map<string, Map<string | null, Listener[]>>();

  add(listener: Listener): void {
    const host = hostOf(listener.address);
    for (const slot of slotsOf(listener.address)) {
      const hosts = this.#slots.get(slot) ?? new Map<string | null, Listener[]>();
      this.#slots.set(slot, hosts.set(host, [...(hosts.get(host) ?? []), listener]));
    }
  }

  /** One that was added, or an equal one. */
  remove({ path, address }: Listener): void {
    const host = hostOf(address);
    const isOf = (other: Listener): boolean => other.path[0] === path[0] && other.path[1] === path[1];
    for (const slot of slotsOf(address)) {
      const hosts = this.#slots.get(slot);
      hosts?.set(
        host,
        (hosts.get(host) ?? []).filter((other) => !isOf(other)),
      );
    }
  }

  holderOf({ address }: Listener): Listener | undefined {
    const host = hostOf(address);
    for (const slot of slotsOf(address)) {
      const hosts = this.#slots.get(slot);
      if (hosts === undefined) continue;
      const near = host === null ? [...hosts.values()] : [hosts.get(host), hosts.get(null)];
      const holder = near.flatMap((listeners) => listeners ?? []).find((one) => bindsOverlap(one.address, address));
      if (holder !== undefined) return holder;
    }
    return undefined;
  }
}

function hostOf(address: BindAddress): string | null {
  return 'host' in address ? address.host : null;
}

function slotsOf(address: BindAddress): string[] {
  switch (address.kind) {
    case 'tcp':
    case 'udp':
      return Array.from(
        { length: address.portEnd - address.port + 1 },
        (_, n) => `${address.kind} ${address.port + n}`,
      );
    case 'unix':
      return [`unix ${address.path}`];
    case 'abns':
      return [`abns ${address.name}`];
    case 'other':
      return [];
  }
}

function ownListeners({ rest: { admin, probes, haproxy } }: Listening, judge: ListenersJudge): Listener[] {
  const http = [
    { path: ['admin', 'listen'], text: admin?.listen },
    { path: ['probes', 'listen'], text: probes?.listen },
  ].flatMap(({ path, text }) => {
    const listen = text === undefined ? null : parseListen(text);
    if (text === undefined || listen === null) return [];
    // Node listens on IPv4 and IPv6 where no host is given.
    return parseBind(listen.host === null ? `[::]:${listen.port}` : text).addresses.map((address) => ({
      path,
      text,
      address,
    }));
  });
  const sockets = [
    { path: ['haproxy', 'statsSocket'], text: haproxy?.statsSocket },
    { path: ['admin', 'socket'], text: admin?.socket },
  ].flatMap(({ path, text }) =>
    text === undefined ? [] : [{ path, text, address: { kind: 'unix', path: text } as const }],
  );
  // A refused value is replaced by a default that nobody asked for.
  return [...http, ...sockets].filter(({ path }) => !judge.isRefused(path));
}

function haproxyListeners(
  { rest: { haproxy, frontends = {} }, services }: Listening,
  judge: ListenersJudge,
): Listener[] {
  const pathOf = (of: 'services' | 'frontends', name: string, index: number): Path =>
    judge.pathOfItem([of, name, 'bind'], index);
  return [
    ...bindListeners(['haproxy', 'stats', 'bind'], haproxy?.stats?.bind, judge),
    ...bindListeners(['haproxy', 'prometheus', 'bind'], haproxy?.prometheus?.bind, judge),
    ...(haproxy?.global ?? []).flatMap((text, index) => rawListeners(['haproxy', 'global', index], text)),
    ...(haproxy?.sections ?? []).flatMap((text, index) => rawListeners(['haproxy', 'sections', index], text)),
    ...Object.entries(frontends).flatMap(([name, { bind, lines }]) => [
      ...bind.flatMap((text, index) => bindListeners(pathOf('frontends', name, index), text, judge)),
      ...lines.flatMap((text, index) => rawListeners(['frontends', name, 'lines', index], text)),
    ]),
    ...[...services].flatMap(([name, { bind, frontend }]) => [
      ...(bind ?? []).flatMap((text, index) => bindListeners(pathOf('services', name, index), text, judge)),
      ...frontend.flatMap((text, index) => rawListeners(['services', name, 'frontend', index], text)),
    ]),
  ];
}

function bindListeners(path: Path, text: string | undefined, judge: ListenersJudge): Listener[] {
  if (text === undefined) return [];
  const { addresses, problems } = parseBind(text);
  for (const problem of problems) judge.report(path, problem);
  return addresses.map((address) => ({ path, text: firstWord(text), address }));
}

/**
 * The `bind` lines of hand-written text, and its stats sockets that are open to the network. HAProxy itself decides
 * whether these lines are valid.
 */
function rawListeners(path: Path, text: string): Listener[] {
  return [...text.matchAll(/^[ \t]*(bind|stats[ \t]+socket)[ \t]+(.+)$/gm)].flatMap(([, keyword, line = '']) =>
    parseBind(line)
      .addresses.filter(({ kind }) => keyword === 'bind' || kind === 'tcp')
      .map((address) => ({ path, text: firstWord(line), address })),
  );
}

function firstWord(line: string): string {
  return line.trim().split(/\s/, 1).join();
}
