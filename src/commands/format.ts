/** How the commands print what they found. */
import type { ReloadReason } from '../model.ts';

/** `bind_changed frontend web:in: …`, as in the log and the status. */
export function formatReason({ code, section, detail }: ReloadReason): string {
  return `${[code, section].filter((part) => part !== undefined).join(' ')}${detail === undefined ? '' : `: ${detail}`}`;
}

/** Rows of a name and a value, the names in one column; further lines of a value stand under its first. */
export function table(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  const indent = ' '.repeat(width + 4);
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value.replaceAll('\n', `\n${indent}`)}\n`).join('');
}
