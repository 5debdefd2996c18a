/** What a process costs, as the kernel counts it. */
import { readFile } from 'node:fs/promises';

/** In /proc, whatever the kernel's own. */
const ticksPerSecond = 100;

/** User and system time of all its threads. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field, a name in parentheses, may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export async function memoryMiB(pid: number, what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const [, kiB] = new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kiB) / 1024;
}
