/** Who listens on a port: what a test on lost requests has to know before it blames anybody. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

/** PIDs of all processes that hold a listening socket of this port on 127.0.0.1, in ascending order. */
export async function listenersOf(port: number): Promise<readonly number[]> {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/));
  // 0A is LISTEN.
  const inodes = new Set(rows.flatMap((row) => (row[1] === local && row[3] === '0A' ? [`socket:[${row[9]}]`] : [])));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const holds = await Promise.all(pids.map((pid) => holdsAny(pid, inodes)));
  return pids.filter((_, at) => holds[at]).sort((a, b) => a - b);
}

async function holdsAny(pid: number, inodes: ReadonlySet<string>): Promise<boolean> {
  // Processes and their files come and go while we look.
  const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return targets.some((target) => inodes.has(target));
}

/** The name of its program, as messages have it: an unpacked HAProxy is run by its dynamic linker. */
export async function programOf(pid: number): Promise<string> {
  return basename(await readlink(`/proc/${pid}/exe`));
}
