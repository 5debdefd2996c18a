/** Checks beyond a single key: keys that need each other, names and paths that collide, sockets that are too long. */
import { join } from 'node:path';
import type { Source } from '../../../watchers/kit/source.ts';
import { maxSocketPath } from '../../haproxy/text/bind.ts';
import { whyNotOurs } from '../../haproxy/text/own-process.ts';
import { proxiesIn, reservedBy } from '../names.ts';
import type { Path } from '../problems.ts';
import type { WatcherConfig } from '../schema/watchers.ts';
import { parseListen } from '../values.ts';
import { checkBinds } from './check-binds.ts';
import { checkRoutes } from './check-routes.ts';
import type { Judge } from './judge.ts';
import type { Parts } from './parts.ts';
import { notesOf } from './shape.ts';

/** `files` are the absolute paths of the config's own files. */
export function checkParts(parts: Parts, files: readonly string[], env: NodeJS.ProcessEnv, judge: Judge): void {
  checkWatchers(parts, env, judge);
  checkHaproxy(parts, judge);
  checkHealthChecks(parts, judge);
  checkNames(parts, judge);
  checkPaths(parts, files, judge);
  checkSocketLengths(parts, judge);
  checkAdmin(parts, judge);
  checkBinds(parts, judge);
  checkRoutes(parts, judge);
}

function checkWatchers({ watchers, sources }: Parts, env: NodeJS.ProcessEnv, judge: Judge): void {
  for (const [name, watcher] of watchers) {
    const report = (path: Path, message: string): void => judge.report(['watchers', name, ...path], message);
    if (watcher !== undefined) sources.get(name)?.check?.(watcher, { env, report });
  }
}

function checkHaproxy({ rest: { haproxy, debounce } }: Parts, judge: Judge): void {
  const reloadCommand: Path = ['haproxy', 'reloadCommand'];
  if (haproxy?.control === 'command' && haproxy.reloadCommand === undefined && !judge.isRefused(reloadCommand))
    judge.report(reloadCommand, 'is missing; `control: command` needs a command that makes HAProxy reload');
  if (haproxy?.control === 'process')
    for (const [index, line] of haproxy.global.entries()) {
      const why = whyNotOurs(line);
      if (why !== null) judge.report(['haproxy', 'global', index], why);
    }
  const masterSocket: Path = ['haproxy', 'masterSocket'];
  if (haproxy?.control === 'master' && haproxy.masterSocket === undefined && !judge.isRefused(masterSocket))
    judge.report(masterSocket, 'is missing; `control: master` needs the socket that HAProxy was given by -S');
  const handover: Path = ['haproxy', 'handover'];
  if (haproxy?.handover !== undefined && haproxy.control !== 'process')
    judge.report(handover, '`control: process` alone hands over from one Myelin to the next');
  else if (haproxy?.handover !== undefined && haproxy.onExit !== 'stop')
    judge.report(handover, 'needs `onExit: stop`: a HAProxy that stays would share its ports with the next one');
  if (haproxy?.onHang === 'replace' && haproxy.control !== 'process')
    judge.report(
      ['haproxy', 'onHang'],
      '`replace` needs `control: process`: what was started elsewhere is ended elsewhere',
    );
  if (debounce !== undefined && debounce.max < debounce.quiet && !judge.isRefused(['debounce']))
    judge.report(['debounce', 'max'], `must not be shorter than debounce.quiet (${debounce.quiet}ms)`);
}

/** A TCP check instead of the intended HTTP check would call every server healthy that accepts a connection. */
function checkHealthChecks({ services }: Parts, judge: Judge): void {
  for (const [name, { check }] of services) {
    if (check.type === 'http') continue;
    for (const key of ['path', 'method', 'host', 'status']) {
      const path: Path = ['services', name, 'check', key];
      if (judge.isWritten(path))
        judge.report(
          path,
          `has no effect, as the check is of type ${check.type}: add \`type: http\`, or leave this out`,
        );
    }
  }
}

function checkNames({ services, rest: { haproxy, frontends = {} } }: Parts, judge: Judge): void {
  const reserved = reservedBy(services.keys());
  for (const name of Object.keys(frontends)) {
    const owner = services.has(name) ? `the service ${name} has that name` : reserved(name);
    if (owner !== null)
      judge.report(['frontends', name], `${owner}, and HAProxy takes no two proxies of one name: choose another`);
  }
  for (const name of services.keys()) {
    const owner = reserved(name);
    if (owner !== null) judge.report(['services', name], `${owner}: choose another`);
  }
  for (const [index, text] of (haproxy?.sections ?? []).entries())
    for (const { keyword, name } of proxiesIn(text)) {
      const owner = services.has(name)
        ? `the service ${name} has that name`
        : Object.hasOwn(frontends, name)
          ? `the shared frontend ${name} has that name`
          : reserved(name);
      if (owner !== null)
        judge.report(['haproxy', 'sections', index], `\`${keyword} ${name}\`: ${owner}: choose another`);
    }
}

/** No two of the paths that Myelin writes and reads may be the same. */
function checkPaths({ watchers, sources, rest }: Parts, files: readonly string[], judge: Judge): void {
  const paths: readonly (readonly [Path, string | undefined])[] = [
    ...[...watchers].flatMap(([name, watcher]) => pathsRead(['watchers', name], watcher, sources.get(name))),
    [['haproxy', 'config'], rest.haproxy?.config],
    [['haproxy', 'statsSocket'], rest.haproxy?.statsSocket],
    [['haproxy', 'masterSocket'], rest.haproxy?.masterSocket],
    [['admin', 'socket'], rest.admin?.socket],
    [['state'], rest.state],
    [['haproxy', 'handover'], rest.haproxy?.handover],
    ...Object.entries(rest.outputs ?? {}).map(([name, { path }]) => [['outputs', name, 'path'], path] as const),
  ];
  const taken = new Map(files.map((file) => [file, "one of the config's own files"]));
  for (const [path, value] of paths) {
    if (value === undefined) continue;
    const owner = taken.get(value);
    // Two watchers may read the same file.
    if (owner !== undefined && path[0] !== 'watchers') judge.report(path, `${value} is ${owner}: choose another path`);
    taken.set(value, `the path of ${path.join('.')} already`);
  }
}

/** The paths that a watcher's settings name. */
function pathsRead(
  at: Path,
  watcher: WatcherConfig | undefined,
  source: Source | undefined,
): (readonly [Path, string])[] {
  return Object.entries(source?.settings.shape ?? {}).flatMap(([key, schema]) => {
    const value = watcher?.[key];
    return typeof value === 'string' && notesOf(schema, value).path === 'file' ? [[[...at, key], value] as const] : [];
  });
}

/** Anyone who reaches the admin API reads status and config, without a password. */
function checkAdmin({ rest: { admin } }: Parts, judge: Judge): void {
  if (admin?.listen === undefined || admin.allowRemote) return;
  const host = parseListen(admin.listen)?.host ?? null;
  if (host !== null && (host === 'localhost' || /^127\.|^::1$/.test(host))) return;
  judge.report(
    ['admin', 'listen'],
    `${admin.listen} can be reached by others, and asks nobody for a password: write 127.0.0.1:PORT, or add \`allowRemote: true\``,
  );
}

function checkSocketLengths({ rest: { haproxy, admin, state } }: Parts, judge: Judge): void {
  // Each HAProxy process that Myelin starts has its own socket there; the names have room for a million processes.
  const { handover } = haproxy ?? {};
  const generation = state && join(handover ?? state, 'g999999', 's');
  const sockets: readonly (readonly [Path, string | undefined, string])[] = [
    [['haproxy', 'statsSocket'], haproxy?.statsSocket, ''],
    [['haproxy', 'masterSocket'], haproxy?.masterSocket, ''],
    [['admin', 'socket'], admin?.socket, ''],
    [
      handover === undefined ? ['state'] : ['haproxy', 'handover'],
      generation,
      ' (the folder holds the sockets of HAProxy processes, such as this)',
    ],
  ];
  for (const [path, socket, why] of sockets) {
    const length = Buffer.byteLength(socket ?? '');
    if (length > maxSocketPath)
      judge.report(
        path,
        `the path of a unix socket is at most ${maxSocketPath} bytes long and ${socket} has ${length}${why}: ` +
          `choose a shorter folder, such as /run/myelin`,
      );
  }
}
