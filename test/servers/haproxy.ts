/** Provides HAProxy, and the tools that put load on it: from this machine where they are there, else from Debian's packages. */
import { findBinary } from '../../src/haproxy/binary/binary.ts';
import { runCommand } from '../../src/lib/command.ts';
import { type DebianProgram, debianProgram } from './debian.ts';
import { inPath } from './executable.ts';
import { provided } from './provided.ts';

export type HaproxyBranch = keyof typeof suites;
const suites = { '2.2': 'bullseye', '2.6': 'bookworm', '3.0': 'trixie', '3.2': 'sid', '3.4': 'experimental' } as const;

export function isBranch(name: string): name is HaproxyBranch {
  return name in suites;
}

const tools = {
  ab: { suite: 'bookworm', package: 'apache2-utils', path: 'usr/bin/ab' },
  wrk: { suite: 'bookworm', package: 'wrk', path: 'usr/bin/wrk' },
} as const satisfies Record<string, DebianProgram>;

/** What tests run on that name no branch themselves. */
export const defaultBranch = (process.env.HAPROXY_BRANCH ?? '2.6') as HaproxyBranch;

/** What those run on that know several; others with, say, `HAPROXY_BRANCHES=2.2,3.0,3.4`. */
export const branches = (process.env.HAPROXY_BRANCHES ?? '2.6').split(',') as readonly HaproxyBranch[];

/** For `skip`: why it cannot be tried on this branch. */
export const cannotAddServers =
  defaultBranch === '2.2' && 'HAProxy 2.2 cannot add servers while it runs: each that comes is a reload';

/** Path of an executable of that branch: HAPROXY_BIN, PATH, cache, Debian's packages; whichever is first of that branch. */
export async function haproxy(branch: HaproxyBranch = defaultBranch): Promise<string> {
  for (const name of [process.env.HAPROXY_BIN, 'haproxy'])
    if (name !== undefined && (await isOfBranch(name, branch))) return (await findBinary(name, process.env.PATH)).path;
  const path = await orSay(`HAProxy ${branch}`, 'HAPROXY_BIN', () =>
    debianProgram({ suite: suites[branch], package: 'haproxy', path: 'usr/sbin/haproxy' }),
  );
  const { version } = await findBinary(path, undefined);
  if (`${version.major}.${version.minor}` !== branch)
    throw new Error(`HAProxy ${branch} is needed; Debian ${suites[branch]} has ${version.text} now. Set HAPROXY_BIN.`);
  return path;
}

for (const branch of new Set([defaultBranch, ...branches])) provided(`HAProxy ${branch}`, () => haproxy(branch));

/** Path of a load generator: PATH, cache, Debian's packages. */
export async function tool(name: keyof typeof tools): Promise<string> {
  return (await inPath(name)) ?? orSay(name, 'PATH', () => debianProgram(tools[name]));
}

async function isOfBranch(name: string, branch: string): Promise<boolean> {
  const found = await findBinary(name, process.env.PATH).catch(() => null);
  return found !== null && `${found.version.major}.${found.version.minor}` === branch;
}

async function orSay(what: string, variable: string, provide: () => Promise<string>): Promise<string> {
  try {
    const path = await provide();
    const { status, stderr } = await runCommand([path, '--help'], { timeoutMs: 10_000 });
    if (status === 127) throw new Error(stderr);
    return path;
  } catch (cause) {
    throw new Error(
      `${what} is needed for the tests and could not be unpacked from Debian's packages. Install it ` +
        `(on Debian: apt-get install haproxy apache2-utils wrk), or name it by ${variable}.`,
      { cause },
    );
  }
}
