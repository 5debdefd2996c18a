/** Loads `myelin.yaml`: reads, substitutes, validates, resolves, and reports everything that is wrong at once. */
import { dirname, resolve } from 'node:path';
import type { Source } from '../../watchers/kit/source.ts';
import type { ReadFile } from '../lib/files/read-file.ts';
import { resolveDiscoveries } from './discover/discoveries.ts';
import { ConfigError, type ConfigProblem, formatPath, type Report } from './problems.ts';
import { joinServices, readIncluded } from './read/include.ts';
import { type Insertions, maskable, maskSecrets } from './read/mask.ts';
import { loadOwnSource, moduleFile } from './read/own-sources.ts';
import { Reader } from './read/reader.ts';
import { isRecord } from './read/tree.ts';
import { builtIn, type SourceTypes } from './schema/watchers.ts';
import { type Config, type Service, config as schema } from './schema.ts';
import { resolveRoutes } from './validate/check-routes.ts';
import { checkParts } from './validate/checks.ts';
import { Judge } from './validate/judge.ts';
import { resolveOrigins } from './validate/origins.ts';
import { type Parts, partsOf, type Rest } from './validate/parts.ts';
import { mapNoted, type Notes } from './validate/shape.ts';
import { type Written, writtenIn } from './validate/written.ts';

export type LoadedConfig = {
  readonly config: Config;
  /** Absolute paths of every file that was read: the config, what it includes, and each `${file:PATH}`. */
  readonly files: readonly string[];
  /** Folders in which a new file may match `include`. */
  readonly folders: readonly string[];
  /** Values to mask in what others say: sources, HAProxy. */
  readonly secrets: readonly string[];
  /** The texts of the config into which something was put that may be secret. */
  readonly inserted: Insertions;
  /** The lines for HAProxy, with their places. */
  readonly written: readonly Written[];
};

const { socket: defaultSocket } = schema.shape.admin.parse(undefined);

/** Throws a ConfigError that names every problem with its place. */
export async function loadConfig(path: string, env: NodeJS.ProcessEnv, readFile?: ReadFile): Promise<LoadedConfig> {
  const folder = dirname(resolve(path));
  const reader = new Reader(folder, env, readFile);
  const secrets = new Set<string>();
  const problems = new Map<string, ConfigProblem>();
  const report: Report = (place, where, message) => {
    const problem = { ...place, path: formatPath(where) };
    // The first problem of a value explains the others: a missing substitution is not a number either.
    const key = JSON.stringify(problem);
    if (!problems.has(key)) problems.set(key, { ...problem, message });
  };
  const throwProblems = (socket = resolve(folder, defaultSocket)): never => {
    // A value that is refused may be a secret at the wrong key.
    const inserted = [...reader.inserted.values()].flatMap((each) => each.secrets);
    const known = [...reader.secrets, ...secrets, ...inserted];
    const masked = [...problems.values()].map((problem) => ({
      ...problem,
      message: maskSecrets(problem.message, known),
    }));
    throw new ConfigError(masked, { files: reader.files, socket });
  };

  const main = await reader.readTree(resolve(path), path, report);
  if (main === null) return throwProblems();
  const first = new Judge(main.mark, report);
  const patterns = first.part(schema.shape.include, ['include'], isRecord(main.value) ? main.value.include : []) ?? [];
  const { trees, folders } = await readIncluded(patterns, path, reader, report, (index, message) =>
    first.report(['include', index], message),
  );
  const tree = joinServices(main, trees, report);
  const judge = new Judge(tree.mark, report, {
    inserted: reader.inserted,
    note: (secret) => secrets.add(secret),
  });
  const own = await ownTypes(tree.value, folder, reader, judge);
  const types = own.size === 0 ? builtIn : new Map([...builtIn, ...own]);
  const parts = partsOf(tree.value, types, judge, (partSchema, part) =>
    mapNoted(partSchema, part, (notes, value) => absolutePath(notes, value, folder)),
  );
  const services = resolveServices(parts, judge);
  const discoveries = resolveDiscoveries(parts, judge);
  checkParts(parts, reader.files, env, judge);
  if (problems.size > 0) return throwProblems(parts.rest.admin?.socket);

  const watchers = Object.fromEntries(parts.watchers) as Config['watchers'];
  const { include: _, ...rest } = parts.rest as Rest;
  const config = Object.freeze<Config>({
    ...deepFreeze({ ...rest, watchers, services, discoveries }),
    sources: parts.sources,
  });
  return {
    config,
    files: reader.files,
    folders,
    secrets: maskable([...reader.secrets, ...secrets]),
    written: writtenIn(tree),
    inserted: reader.inserted,
  };
}

/** The user's own sources, by the module that the `type` of a watcher names. */
async function ownTypes(written: unknown, folder: string, reader: Reader, judge: Judge): Promise<SourceTypes> {
  const types = new Map<string, Source>();
  for (const [name, entry] of Object.entries(recordAt(written, 'watchers'))) {
    const { type } = isRecord(entry) ? entry : {};
    if (typeof type !== 'string' || builtIn.has(type)) continue;
    const file = moduleFile(type, folder);
    if (file !== null) reader.watch(file);
    const own = await loadOwnSource(type, folder);
    switch (own.kind) {
      case 'source':
        types.set(type, own.source);
        break;
      case 'problem':
        judge.report(['watchers', name, 'type'], own.problem);
        break;
      case 'none':
    }
  }
  return types;
}

function recordAt(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const inner = isRecord(value) ? value[key] : undefined;
  return isRecord(inner) ? inner : {};
}

function resolveServices(parts: Parts, judge: Judge): ReadonlyMap<string, Service> {
  const resolved = [...parts.services].map(([name, { from, ...service }]): [string, Service] => [
    name,
    deepFreeze({
      ...service,
      name,
      origins: resolveOrigins(name, from, parts, judge),
      routes: resolveRoutes(name, { from, ...service }, parts, judge),
    }),
  ]);
  return new Map(resolved.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function absolutePath({ path }: Notes, value: unknown, folder: string): unknown {
  if (path === 'command' && Array.isArray(value)) {
    const [program, ...args] = value as unknown[];
    return [absolutePath({ path: 'program' }, program, folder), ...args];
  }
  if (path === undefined || typeof value !== 'string') return value;
  // HAProxy's own names, such as `@system-ca`, are not paths; a program without a slash is looked up in PATH.
  const isPath = path === 'file' ? !value.startsWith('@') : value.includes('/');
  return isPath ? resolve(folder, value) : value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
