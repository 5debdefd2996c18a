/** How the commands and the page say what they found. */
import type { Drift, ReloadReason, Timestamp } from '../../model.ts';
import { printable } from './printable.ts';
import { reloadReasons } from './reload-reasons.ts';

/** ``frontend web:in: a `bind` line changed (bind_changed): *:82``; the log has the code alone. */
export function formatReason({ code, section, detail }: ReloadReason): string {
  // A Myelin of another version may know more.
  const words = Object.hasOwn(reloadReasons, code) ? `${reloadReasons[code].words} (${code})` : code;
  return [section, words, detail].filter((part) => part !== undefined && part !== '').join(': ');
}

const waits: Readonly<Record<string, string>> = {
  min_interval: 'minimum interval between reloads (reload.minInterval)',
  back_off: 'pause after a failure',
  old_workers: 'too many old processes (reload.maxOldWorkers)',
  offer_interval: 'interval for discovered services (reload.offerInterval)',
};

/** What a reload waits for. */
export function formatWait(because: string): string {
  return waits[because] ?? because;
}

/** `web/web-1: weight is 7`, `public.map a.example/: missing`. */
export function formatDrift(drift: Drift): string {
  const { kind, detail } = drift;
  const what = whatDrifted(drift);
  return `${what}: ${kind}${detail === '' ? '' : ` is ${detail}`}`;
}

/** Rows of a name and a value, the names in one column; further lines of a value stand under its first. */
export function table(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = rows.reduce((most, [name]) => Math.max(most, printable(name).length), 0);
  const indent = ' '.repeat(width + 4);
  return rows
    .map(([name, value]) => `  ${printable(name).padEnd(width)}  ${value.replaceAll('\n', `\n${indent}`)}\n`)
    .join('');
}

/** `12s`, `5m`, `3h`, `2d`: as exactly as people want to know. */
export function age(from: Timestamp, to: Timestamp): string {
  const seconds = Math.max(0, Math.round((to - from) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** Not Node's: the page in the browser says it in the same words. */
function basename(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function whatDrifted(drift: Drift): string {
  if ('certificate' in drift) return `certificate ${basename(drift.certificate)}`;
  if ('caFile' in drift) return basename(drift.caFile);
  if ('list' in drift) return `${basename(drift.list)} ${basename(drift.entry)}`;
  if ('map' in drift) return `${basename(drift.map)} ${drift.key}`;
  if ('frontend' in drift) return `frontend ${drift.frontend}`;
  return 'server' in drift ? `${drift.backend}/${drift.server}` : `backend ${drift.backend}`;
}

/** Why endpoints are retained. */
export function formatKept(reason: 'emptied' | 'config' | 'shrunk'): string {
  return reason === 'config' ? 'the config leaves none' : 'no source names them any more';
}
