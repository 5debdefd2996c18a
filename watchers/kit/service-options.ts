/** The options by which a discovered service chooses its own settings. */

/** By option, the setting of a service that it sets. Raw lines and paths are not among them: only administrators set those. */
export const settingOf = {
  mode: ['mode'],
  balance: ['balance'],
  check: ['check', 'type'],
  'check-path': ['check', 'path'],
  'check-method': ['check', 'method'],
  'check-host': ['check', 'host'],
  'check-status': ['check', 'status'],
  'check-interval': ['check', 'interval'],
  'check-timeout': ['check', 'timeout'],
  'check-rise': ['check', 'rise'],
  'check-fall': ['check', 'fall'],
  'check-port': ['check', 'port'],
  maxconn: ['server', 'maxconn'],
  slowstart: ['server', 'slowstart'],
  'proxy-protocol': ['server', 'proxyProtocol'],
  'timeout-connect': ['timeouts', 'connect'],
  'timeout-client': ['timeouts', 'client'],
  'timeout-server': ['timeouts', 'server'],
  'timeout-queue': ['timeouts', 'queue'],
  'timeout-tunnel': ['timeouts', 'tunnel'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/**
 * `listen` is the port of the frontend, `routes` what of the shared ones leads to it, `port` which of its own ports the service
 * means.
 */
export const serviceOptions = [
  'listen',
  'routes',
  'port',
  ...(Object.keys(settingOf) as (keyof typeof settingOf)[]),
] as const;

export type ServiceOption = (typeof serviceOptions)[number];

/** The longest text of an option, in characters. */
export const longestOption = 1024;

/**
 * The shortest and longest times that options may set: very frequent checks cost HAProxy and all its users, and endless timeouts
 * keep old processes from ending.
 */
export const boundsOf = {
  'check-interval': ['500ms', '1d'],
  'check-timeout': ['1ms', '1d'],
  slowstart: ['1ms', '1d'],
  'timeout-connect': ['1ms', '1d'],
  'timeout-client': ['1ms', '1d'],
  'timeout-server': ['1ms', '1d'],
  'timeout-queue': ['1ms', '1d'],
  'timeout-tunnel': ['1ms', '1d'],
} as const satisfies { readonly [Option in ServiceOption]?: readonly [least: string, most: string] };

/** The balance algorithms that need no arguments: an argument may be any text. */
export const plainBalances = ['roundrobin', 'leastconn', 'first', 'random', 'source'] as const;

/** Longer than the name of any option. */
const longestName = 64;

/** Anyone may write as many and as long ones as the source has room for. What is kept of these is enough to refuse them. */
export function boundedOptions(options: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const names = [...options.keys()].sort().slice(0, serviceOptions.length + 1);
  return Object.fromEntries(
    names.map((name) => [beginningOf(name, longestName), beginningOf(options.get(name) ?? '', longestOption + 1)]),
  );
}

/** Not a slice of `value`, which would keep all of it in memory. */
function beginningOf(value: string, length: number): string {
  return value.length <= length ? value : Buffer.from(value.slice(0, length)).toString();
}
