/**
 * What `haproxy.defaults` says of what our templates would say in each service. HAProxy takes the nearest line, so that
 * the administrator's would count for nothing.
 */
import { tokenise } from '../haproxy/text/text.ts';

export type Inherited = {
  /** The balance algorithm with its arguments; null where nothing is said, as below. */
  readonly balance: string | null;
  /** Of `default-server`. */
  readonly inter: string | null;
  readonly rise: number | null;
  readonly fall: number | null;
  /** Whether it is said what is tried again. */
  readonly hasRetryOn: boolean;
  /** Whether it is said how traffic of this mode is logged. */
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
