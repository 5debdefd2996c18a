/** Names the process that listens on an address, as far as the system shows it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hasCode } from '../../errors.ts';
import { parseAddress } from '../../lib/net/address.ts';
import { commandName } from './processes.ts';

type Kind = 'tcp' | 'udp' | 'unix';

/** Whether this process holds every socket that listens there, shared or not; false where the system hides it. */
export function holds(pid: number, kind: Kind, host: string | null, port: number): boolean {
  const inodes = inodesAt(kind, host, port);
  const its = new Set(inodesOf(`${pid}`));
  return inodes.size > 0 && [...inodes].every((inode) => its.has(inode));
}

/** `nginx (pid 123)`, or how to find out where it cannot be seen. For `unix`, `host` is the path. */
export function ownerOfPort(kind: Kind, host: string | null, port: number): string {
  const pid = findOwner(inodesAt(kind, host, port));
  if (pid !== null) return `${commandName(pid)} (pid ${pid})`;
  const filter = kind === 'unix' ? '-xlp' : kind === 'tcp' ? '-tlnp' : '-ulnp';
  return `another process (\`ss ${filter}\`, run as root, tells which)`;
}

function inodesAt(kind: Kind, host: string | null, port: number): ReadonlySet<string> {
  return kind === 'unix' ? unixInodes(host ?? '') : inetInodes(kind, host, port);
}

/** Sockets that listen on the port, at this address or at all addresses. */
function inetInodes(kind: 'tcp' | 'udp', host: string | null, port: number): ReadonlySet<string> {
  const wantedPort = port.toString(16).toUpperCase().padStart(4, '0');
  // 0A is LISTEN; a UDP socket that nobody is connected to is 07.
  const wantedState = kind === 'tcp' ? '0A' : '07';
  const asked = parseAddress(host ?? '');
  const address = asked?.family === 4 ? hexIPv4(asked.bytes) : null;
  const inodes = new Set<string>();
  for (const file of [kind, `${kind}6`])
    for (const line of lines(`/proc/net/${file}`)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      const [at = '', atPort] = local.split(':');
      const isSame = address === null || /^0+$/.test(at) || at.endsWith(address);
      if (atPort === wantedPort && state === wantedState && isSame && inode !== undefined) inodes.add(inode);
    }
  return inodes;
}

/** The kernel prints the address as a number in this machine's byte order. */
function hexIPv4(bytes: readonly number[]): string {
  const number = new Uint32Array(Uint8Array.from(bytes).buffer)[0] ?? 0;
  return number.toString(16).toUpperCase().padStart(8, '0');
}

function unixInodes(path: string): ReadonlySet<string> {
  const rows = lines('/proc/net/unix').map((line) => line.trim().split(/\s+/));
  return new Set(rows.flatMap((row) => (row[7] === path && row[6] !== undefined ? [row[6]] : [])));
}

function findOwner(inodes: ReadonlySet<string>): number | null {
  if (inodes.size === 0) return null;
  const pids = entries('/proc').filter((name) => /^\d+$/.test(name));
  const pid = pids.find((each) => inodesOf(each).some((inode) => inodes.has(inode)));
  return pid === undefined ? null : Number(pid);
}

function inodesOf(pid: string): readonly string[] {
  return entries(`/proc/${pid}/fd`).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${fd}`))?.[1] ?? [],
  );
}

function lines(path: string): readonly string[] {
  return orNothing(() => readFileSync(path, 'utf8').split('\n'), []);
}

function entries(path: string): readonly string[] {
  return orNothing(() => readdirSync(path), []);
}

function target(path: string): string {
  return orNothing(() => readlinkSync(path), '');
}

/** Processes may end meanwhile, and those of other users are not readable. */
function orNothing<T>(read: () => T, nothing: T): T {
  try {
    return read();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL', 'ENOTDIR')) return nothing;
    throw error;
  }
}
