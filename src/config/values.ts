/** The small value types of the config: how each is written in YAML and what the program gets. */
import { z } from 'zod';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `250ms`, `20s`, `10m`, `2h`, `1d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'expected a duration such as 250ms, 20s, 10m or 2h')
  .transform(parseDuration)
  .meta({ title: 'duration' });

/** Milliseconds of a text that matches the `duration` pattern. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Math.round(Number(number) * units[unit as keyof typeof units]);
}

/** HAProxy's own spelling of a time, to the millisecond: `1500ms`, `20s`, `10m`. */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** A name that HAProxy takes for a proxy and that is safe in a command: letters, digits, `_ . : -`. */
export const proxyName = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]+$/, "only letters, digits and _ . : - are allowed in a name (HAProxy's rule for proxies)")
  .max(200);

/** One line for `haproxy.cfg`, written by the administrator: anything but line breaks and NUL. */
export const rawLine = z
  .string()
  .regex(/^[^\n\r\0]*$/, 'a line cannot hold a line break: write each line as a list item of its own');

export const port = z.number().int().min(1).max(65535);
