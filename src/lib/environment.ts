/**
 * The environment of child processes. Myelin's own holds the tokens of its sources: HAProxy faces the network,
 * and anything in it could read them there.
 */
import { readFile } from 'node:fs/promises';

/** What any program may need to find its files, libraries and language, and a user's service manager. */
const always =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|TERM|TZ|TZDIR|LANG|LANGUAGE|LC_[A-Z]+|TMPDIR|LD_[A-Z_]+|LUA_C?PATH\w*|OPENSSL_\w+|SSL_CERT_(?:FILE|DIR)|MALLOC_\w+|GLIBC_TUNABLES|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS)$/;

/** Variables of the sources: somebody may have tricked a config into naming one. */
const ofSources = /^(?:CONSUL_|KUBE)/;

/** The ways in which HAProxy's config takes a variable of the environment. */
const references = [
  /(?<!\\)\$\{?([A-Za-z_]\w*)/g,
  /\b(?:env|defined)\(\s*["']?([A-Za-z_]\w*)/g,
  /\b(?:presetenv|resetenv)[ \t]+([^\n#]*)/g,
];

/** The environment of a program without other settings. */
export function plainEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return pick(env, () => false);
}

/** Beside that: what a config of HAProxy names, and what `haproxy.passEnv` does. */
export function environmentOf(env: NodeJS.ProcessEnv, config: string, passEnv: readonly string[]): NodeJS.ProcessEnv {
  const named = new Set(
    references.flatMap((pattern) => [...config.matchAll(pattern)].flatMap(([, words = '']) => words.split(/\s+/))),
  );
  return pick(env, (name) => passEnv.includes(name) || (named.has(name) && !ofSources.test(name)));
}

/** The same, for a config in files. A file that is missing names nothing: HAProxy reports it. */
export async function environmentFor(
  env: NodeJS.ProcessEnv,
  files: readonly string[],
  passEnv: readonly string[],
): Promise<NodeJS.ProcessEnv> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  return environmentOf(env, texts.join('\n'), passEnv);
}

function pick(env: NodeJS.ProcessEnv, isWanted: (name: string) => boolean): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => always.test(name) || isWanted(name)));
}
