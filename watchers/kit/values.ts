/**
 * The small value types that settings of watchers and the rest of the config have in common: how each is written in YAML
 * and what the program gets. `meta.expected` is what an error message asks for; `meta.path` marks a path that is relative
 * to the config file; `meta.secret` is masked.
 */
import { z } from 'zod';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** HAProxy counts a time in milliseconds in 31 bits and refuses what is more. */
const maxDurationMs = 2 ** 31 - 1;

const durationText = 'a duration such as 250ms, 20s, 10m or 2h';

/** `250ms`, `20s`, `10m`, `2h`, `1d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, `expected ${durationText}`)
  .transform(parseDuration)
  .refine((ms) => ms <= maxDurationMs, 'expected at most 24d (HAProxy counts no further)')
  .meta({ title: 'duration', expected: durationText });

/** A duration that must not be zero. */
export const someTime = duration.refine((ms) => ms > 0, 'expected more than 0ms');

/** Milliseconds of a text that matches the `duration` pattern. */
function parseDuration(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Math.round(Number(number) * units[unit as keyof typeof units]);
}

/** Text on one line: no control characters. */
export const text = z
  .string()
  .min(1)
  .regex(/^[^\x00-\x1f\x7f]*$/, 'expected text without line breaks or other control characters');

/** Text without spaces, such as the name of a host. */
export const word = text.regex(/^\S*$/, 'expected a single word, without spaces');

/** The path of a file or folder; relative ones count from the config file's folder. */
export const filePath = text.meta({ title: 'path', path: 'file', expected: 'a path' });

export const port = z.number().int().min(1).max(65_535).meta({ title: 'port' });

/** A name as Kubernetes takes it for namespaces and ports. */
export const label = text.regex(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'expected a name of small letters, digits and - inside, at most 63 characters',
);

/** Which of its own ports a service means. */
export const portOrName = z
  .union([port, label])
  .meta({ title: 'port, or its name', expected: 'a port from 1 to 65535, or the name of one' });

/** A list that may be written as a single item. */
export function oneOrMany<T extends z.ZodType>(item: T) {
  return z.union([item, z.array(item)]).transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}
