/**
 * What each version of HAProxy can change without a reload. The replies of the running HAProxy correct this, because builds and
 * backports differ. `text/server-keywords.ts` has the versions of the server options.
 */
import type { ReloadReason, Section } from '../../model.ts';
import { maxLineBytes, maxPayloadBytes } from '../cli/line-limit.ts';
import { serverKeywords } from '../text/servers/server-keywords.ts';
import { atLeast, isBefore, type Version } from './version.ts';

export type Capabilities = {
  readonly version: Version;
  /** `experimental`: only after `experimental-mode on` on the same connection. */
  readonly addServer: 'no' | 'experimental' | 'yes';
  /** `added`: only servers that were added at runtime; those of the file stay in maintenance, which costs nothing. */
  readonly deleteServer: 'no' | 'added' | 'any';
  /** `set maxconn server` may be used. */
  readonly serverMaxconn: boolean;
  /** Frontends go: `disable frontend`, `shutdown frontend`. */
  readonly frontends: boolean;
  /** Backends come and go: `add backend`, `publish backend`, `del backend`. */
  readonly backends: boolean;
  /** CA certificates of `bind` lines can be replaced: `set ssl ca-file`. */
  readonly caFiles: boolean;
  /** All entries of a map can be replaced in one moment: `prepare map`, `commit map`. */
  readonly mapVersions: boolean;
  /** Options that an added server needs, because this version does not give it the defaults of a server in the file. */
  readonly forgottenDefaults: readonly string[];
  /** The longest line of the runtime API. */
  readonly maxLineBytes: number;
  /** The longest text that a command can carry, such as a certificate; 0: none. */
  readonly maxPayloadBytes: number;
  /** Options that `add server` refused although its version should take them. */
  readonly deniedKeywords: ReadonlySet<string>;
};

/** The runtime API cuts, or refuses, a command of more words. */
export const maxCommandWords = 64;

/** `sections`: what the process was started with. */
export function capabilitiesOf(version: Version, sections: readonly Section[] = []): Capabilities {
  const is = (major: number, minor: number): boolean => atLeast(version, major, minor);
  return {
    version,
    // 2.6 dropped the experimental mode (76e8b70e4).
    addServer: is(2, 6) ? 'yes' : is(2, 4) ? 'experimental' : 'no',
    // 14c3c5c12
    deleteServer: is(2, 5) ? 'any' : is(2, 4) ? 'added' : 'no',
    // Older releases deadlock at this command while a request waits in the queue (79a88ba3d).
    serverMaxconn: !deadlocks.some((fixed) => isBefore(version, fixed)),
    frontends: true,
    backends: is(3, 4),
    caFiles: is(2, 5),
    mapVersions: is(2, 6) && !versionsMislead.some((fixed) => isBefore(version, fixed)),
    forgottenDefaults: forgottenDefaults(version),
    maxLineBytes: maxLineBytes(sections),
    maxPayloadBytes: maxPayloadBytes(sections),
    deniedKeywords: new Set(),
  };
}

/** For each branch with this deadlock, the first release without it. Myelin does not support branches before 2.2. */
const deadlocks: readonly (readonly [number, number, number])[] = [
  [2, 2, 15],
  [2, 3, 11],
  [2, 4, 1],
];

/**
 * The first releases without: answers that are of a neighbour of what was looked up, while a version is filled (51d38a26f); a loop for
 * ever at a `set map` beside a version that was never committed (3d73e6c81).
 */
const versionsMislead: readonly (readonly [number, number, number])[] = [
  [2, 6, 3],
  [3, 2, 5],
];

/** A server to add, with the settings of its backend that matter for `add server`. */
export type Addition = {
  readonly options: readonly { readonly keyword: string; readonly args: readonly string[] }[];
  readonly algorithm: string;
  /** Its checks run a program (`option external-check`). */
  readonly hasExternalChecks: boolean;
};

/** Why `add server` cannot add this server; null: it can. */
export function whyNotAdded(
  { addServer, version, deniedKeywords }: Capabilities,
  { options, algorithm, hasExternalChecks }: Addition,
): Pick<ReloadReason, 'code' | 'detail'> | null {
  const missing = (what: string): Pick<ReloadReason, 'code' | 'detail'> => {
    return { code: 'capability_missing', detail: `${what}, on HAProxy ${version.text}` };
  };
  if (addServer === 'no') return missing('add server');
  for (const { keyword, args } of options) {
    const since = serverKeywords.get(keyword)?.dynamicSince ?? null;
    if (since === null || !atLeast(version, ...since) || deniedKeywords.has(keyword))
      return { code: 'keyword_not_dynamic', detail: keyword };
    // `max-reuse` of an added server is 0 and cannot be set: each request would open a new connection (8a31783b6).
    if (keyword === 'alpn' && args[0]?.split(',').includes('h2') && !atLeast(version, 3, 0))
      return { code: 'keyword_not_dynamic', detail: 'alpn h2' };
  }
  // HAProxy dies: the wrong thread starts the program of the check (seen on 2.6 to 3.2).
  if (hasExternalChecks && options.some(({ keyword }) => keyword === 'check'))
    return missing('add server with external checks');
  // An added server that goes into maintenance and comes back hangs a thread, and so HAProxy (upstream issue 3360).
  if (algorithm === 'leastconn' && !isBefore(version, [3, 2, 6]) && isBefore(version, [3, 2, 19]))
    return missing('add server with leastconn');
  return null;
}

/** Corrects the capabilities by an unexpected reply. Returns the same object where the reply says nothing about them. */
export function learn(capabilities: Capabilities, command: 'add' | 'delete', reply: string): Capabilities {
  const [, refused] = /'([^' ]+)' option is not accepted for dynamic server/.exec(reply) ?? [];
  const [, unknown] = /\bunknown keyword '([^' ]+)'/.exec(reply) ?? [];
  const keyword = refused ?? unknown;
  if (command === 'add' && keyword !== undefined)
    return { ...capabilities, deniedKeywords: new Set([...capabilities.deniedKeywords, keyword]) };
  if (!/^(Unknown command|Permission denied|This command is restricted to experimental mode)/m.test(reply))
    return capabilities;
  return command === 'add' ? { ...capabilities, addServer: 'no' } : { ...capabilities, deleteServer: 'no' };
}

/**
 * Before 3.0 (8a31783b6) an added server had zeros where the file's servers have defaults: without the pool options no
 * connection to it is ever reused.
 */
function forgottenDefaults(version: Version): readonly string[] {
  if (atLeast(version, 3, 0)) return [];
  const pool = ['pool-purge-delay', '5s', 'pool-max-conn', '-1'];
  return atLeast(version, 2, 5) ? [...pool, 'error-limit', '10', 'on-error', 'fail-check'] : pool;
}
