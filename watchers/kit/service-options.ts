/** What a discovered service may choose for itself: the options by which it does, and what each of them sets. */

/** Of the settings of a service, by option. Lines and paths are not among them: those are the administrator's. */
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

/** Of the text of an option, in characters: more is refused, wherever it would stand. */
export const longestOption = 1024;

/**
 * Of options that are times, the least and the most: checks without a pause are paid for by HAProxy and whoever shares it,
 * and what never ends keeps old processes from ever leaving.
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
