/**
 * The settings of `haproxy.defaults` that our templates would also write in each service. HAProxy takes the nearest
 * line: the administrator's line would have no effect.
 */
import { tokenise } from '../haproxy/text/text.ts';

export type Inherited = {
  /** The balance algorithm with its arguments; null where `haproxy.defaults` sets none, as for the others. */
  readonly balance: string | null;
  /** The interval in `default-server`. */
  readonly inter: string | null;
  readonly rise: number | null;
  readonly fall: number | null;
  /** Whether `retry-on` is set. */
  readonly hasRetryOn: boolean;
  /** Whether a log format is set for traffic of this mode. */
  hasLogFormat(mode: string): boolean;
};

export function inheritedFrom(defaults: readonly string[]): Inherited {
  const lines = defaults.map((line) => tokenise(line).words);
  const last = (...keywords: readonly string[]): readonly string[] | null =>
    lines.findLast((words) => keywords.every((keyword, at) => words[at] === keyword))?.slice(keywords.length) ?? null;
  const servers = lines.flatMap(([keyword, ...words]) => (keyword === 'default-server' ? words : []));
  const option = (name: string): string | null => servers[servers.lastIndexOf(name) + 1 || servers.length] ?? null;
  const count = (name: string): number | null => {
    const text = option(name);
    return text !== null && /^[1-9]\d*$/.test(text) ? Number(text) : null;
  };
  return {
    balance: last('balance')?.join(' ') ?? null,
    inter: option('inter'),
    rise: count('rise'),
    fall: count('fall'),
    hasRetryOn: last('retry-on') !== null,
    hasLogFormat: (mode) =>
      last('log-format') !== null ||
      last('option', 'tcplog') !== null ||
      (mode === 'http' && (last('option', 'httplog') !== null || last('option', 'httpslog') !== null)),
  };
}
