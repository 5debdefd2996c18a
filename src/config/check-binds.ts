/** Finds listeners of which the second could not start because the first holds its address. */
import { type BindAddress, bindsOverlap, parseBind } from '../haproxy/bind.ts';
import type { Judge } from './judge.ts';
import type { Parts } from './parts.ts';
import type { Path } from './problems.ts';
import { parseListen } from './values.ts';

type Listener = { readonly path: Path; readonly text: string; readonly address: BindAddress };

/** Of two that collide, the later one is reported. */
export function checkBinds(parts: Parts, judge: Judge): void {
  const listeners = [...ownListeners(parts), ...haproxyListeners(parts, judge)];
  const order = new Map(listeners.map((listener, index) => [listener, index]));
  const reported = new Set<Path>();
  for (const [one, other] of overlaps(listeners)) {
    const [first, second] = (order.get(one) ?? 0) < (order.get(other) ?? 0) ? [one, other] : [other, one];
    if (reported.has(second.path)) continue;
    reported.add(second.path);
    const holder = first.path === second.path ? 'the same line' : judge.describe(first.path);
    judge.report(
      second.path,
      `${second.text} is taken by ${first.text} of ${holder}: give one of them another address or port`,
    );
  }
}

/** Pairs in order of their ports: each is compared with those only whose ports reach into its own. */
function overlaps(listeners: readonly Listener[]): (readonly [Listener, Listener])[] {
  const ranges = listeners
    .map((listener) => ({ listener, ...portsOf(listener.address) }))
    .sort((a, b) => a.from - b.from);
  return ranges.flatMap(({ listener, to }, index) => {
    const pairs: (readonly [Listener, Listener])[] = [];
    for (let next = index + 1; next < ranges.length; next++) {
      const other = ranges[next];
      if (other === undefined || other.from > to) break;
      if (bindsOverlap(listener.address, other.listener.address)) pairs.push([listener, other.listener]);
    }
    return pairs;
  });
}

function portsOf(address: BindAddress): { readonly from: number; readonly to: number } {
  return 'port' in address ? { from: address.port, to: address.portEnd } : { from: 0, to: 0 };
}

function ownListeners({ rest: { admin, probes, haproxy } }: Parts): Listener[] {
  const http = [
    { path: ['admin', 'listen'], text: admin?.listen },
    { path: ['probes', 'listen'], text: probes?.listen },
  ].flatMap(({ path, text }) => {
    const listen = text === undefined ? null : parseListen(text);
    if (text === undefined || listen === null) return [];
    // Node listens on both families where no host is given.
    return parseBind(listen.host === null ? `[::]:${listen.port}` : text).addresses.map((address) => ({
      path,
      text,
      address,
    }));
  });
  const sockets = [
    { path: ['admin', 'socket'], text: admin?.socket },
    { path: ['haproxy', 'statsSocket'], text: haproxy?.statsSocket },
  ].flatMap(({ path, text }) =>
    text === undefined ? [] : [{ path, text, address: { kind: 'unix', path: text } as const }],
  );
  return [...http, ...sockets];
}

function haproxyListeners({ rest: { haproxy }, services }: Parts, judge: Judge): Listener[] {
  const pathOf = (name: string, index: number): Path => judge.pathOfItem(['services', name, 'bind'], index);
  return [
    ...bindListeners(['haproxy', 'stats', 'bind'], haproxy?.stats?.bind, judge),
    ...bindListeners(['haproxy', 'prometheus', 'bind'], haproxy?.prometheus?.bind, judge),
    ...(haproxy?.sections ?? []).flatMap((text, index) => rawListeners(['haproxy', 'sections', index], text)),
    ...[...services].flatMap(([name, { bind, frontend }]) => [
      ...(bind ?? []).flatMap((text, index) => bindListeners(pathOf(name, index), text, judge)),
      ...frontend.flatMap((text, index) => rawListeners(['services', name, 'frontend', index], text)),
    ]),
  ];
}

function bindListeners(path: Path, text: string | undefined, judge: Judge): Listener[] {
  if (text === undefined) return [];
  const { addresses, problems } = parseBind(text);
  for (const problem of problems) judge.report(path, problem);
  return addresses.map((address) => ({ path, text: firstWord(text), address }));
}

/** The `bind` lines of hand-written text; whether they are right is for HAProxy to say. */
function rawListeners(path: Path, text: string): Listener[] {
  return [...text.matchAll(/^[ \t]*bind[ \t]+(.+)$/gm)].flatMap(([, line = '']) =>
    parseBind(line).addresses.map((address) => ({ path, text: firstWord(line), address })),
  );
}

function firstWord(line: string): string {
  return line.trim().split(/\s/, 1).join();
}
