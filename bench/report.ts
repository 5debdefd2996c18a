/** How the benchmarks tell what they found: tables, and what they were measured on. */
import { cpus, loadavg } from 'node:os';
import { findBinary } from '../src/haproxy/binary/binary.ts';
import { defaultBranch, type HaproxyBranch, haproxy } from '../test/servers/haproxy.ts';

/** The first row has the names of the columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/** Figures depend on it; the load average says how much else the machine had to do. */
export async function machine(branch: HaproxyBranch = defaultBranch): Promise<string> {
  const { version } = await findBinary(await haproxy(branch), process.env.PATH);
  const load = loadavg().map((average) => average.toFixed(1));
  return `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}, HAProxy ${version.text}, load average ${load.join(' ')}\n`;
}
