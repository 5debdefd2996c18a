/**
 * The user's own sources: modules that the `type` of a watcher names, by path from the folder of the config or as a
 * package. A module is loaded once, and again when its file has changed.
 */
import { stat } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Source } from '../../../watchers/kit/source.ts';
import { checked } from '../../../watchers/kit/update.ts';
import { AppError, describe, hasCode } from '../../errors.ts';
import { ownModule } from '../../lib/own-package.ts';
import type { SourceAnswer } from '../../model.ts';

export type OwnSource =
  | { readonly kind: 'source'; readonly source: Source }
  /** There is no package of this name: it may be the misspelt name of a built-in source. */
  | { readonly kind: 'none' }
  | { readonly kind: 'problem'; readonly problem: string };

/** The file of a module that is named by path; null: `type` is not a path. */
export function moduleFile(type: string, folder: string): string | null {
  return /^\.{0,2}\//.test(type) ? resolve(folder, type) : null;
}

export async function loadOwnSource(type: string, folder: string): Promise<OwnSource> {
  const file = moduleFile(type, folder);
  const trouble = (problem: string): OwnSource => ({ kind: 'problem', problem });
  try {
    const stats = file === null ? null : await stat(file);
    // To read a pipe would wait for ever.
    if (stats?.isFile() === false) return trouble(`${file} is no file`);
    const request: Requested = {
      specifier: file === null ? type : pathToFileURL(file).href,
      parent: pathToFileURL(resolve(folder, '_')).href,
      version: stats?.mtimeMs ?? null,
    };
    hook();
    const module: unknown = await import(`${scheme}${encodeURIComponent(JSON.stringify(request))}`);
    const { source } = module as { readonly source?: unknown };
    const parsed = shape.safeParse(source);
    if (parsed.success) return { kind: 'source', source: guarded(type, source as Source) };
    if (source === undefined)
      return trouble(`${type} exports no \`source\`: write \`export const source = defineSource({ … })\``);
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
    return trouble(`the \`source\` that ${type} exports is none: ${wrong}; make it with \`defineSource\``);
  } catch (error) {
    if (file !== null && hasCode(error, 'ENOENT')) return trouble(`there is no file ${file}`);
    if (hasCode(error, 'ERR_MODULE_NOT_FOUND') && describe(error).startsWith(`Cannot find package '${type}'`))
      return { kind: 'none' };
    return trouble(`cannot load ${type}: ${describe(error)}${placeOf(error)}`);
  }
}

const isFunction = (value: unknown): boolean => typeof value === 'function';
const anObject = z.custom((value) => value instanceof z.ZodObject, 'expected a z.strictObject({ … })');

/** The fields that are checked in a module that somebody else wrote. */
const shape = z.object({
  settings: anObject,
  query: anObject,
  discovery: z.object({ keys: anObject, queries: z.custom(isFunction, 'expected a function') }).optional(),
  check: z.custom(isFunction, 'expected a function').optional(),
  explain: z.custom(isFunction, 'expected a function').optional(),
  open: z.custom(isFunction, 'expected a function'),
});

/** The same module gives the same source. */
const known = new WeakMap<Source, Source>();

/**
 * The source, but a mistake in its code is reported as a problem of the config, and the source fails where it yields
 * anything that is not an update.
 */
function guarded(type: string, source: Source): Source {
  const before = known.get(source);
  if (before !== undefined) return before;
  const { discovery } = source;
  const made: Source = {
    ...source,
    check(settings, context) {
      try {
        const result: unknown = source.check?.(settings, context);
        if (!isPromise(result)) return;
        result.catch(() => {});
        context.report([], `the check of ${type} is asynchronous: make it report everything before it returns`);
      } catch (error) {
        context.report([], `the check of ${type} has failed: ${describe(error)}${placeOf(error)}`);
      }
    },
    ...(discovery && {
      discovery: {
        ...discovery,
        queries(settings, keys) {
          try {
            return manyQueries.parse(discovery.queries(settings, keys));
          } catch (error) {
            const reason = error instanceof z.ZodError ? z.prettifyError(error) : describe(error);
            throw new AppError(
              'MYELIN_CONFIG_INVALID',
              `discovery.queries of ${type} has failed: ${reason}${placeOf(error)}`,
            );
          }
        },
      },
    }),
    ...(source.explain && {
      async explain(settings, query, context) {
        const read = answerShape.safeParse(await source.explain?.(settings, query, context));
        if (read.success) return read.data;
        throw new AppError(
          'MYELIN_SOURCE_FAILED',
          `explain of ${type} gives something else than an answer: ${z.prettifyError(read.error)}`,
        );
      },
    }),
    async open(settings, context) {
      return checked(type, await source.open(settings, context));
    },
  };
  known.set(source, made);
  return made;
}

const texts = z.array(z.string());
const answerShape: z.ZodType<SourceAnswer> = z.object({
  unfit: z.object({ reason: z.string(), remedy: z.string().nullable() }).nullable(),
  said: texts,
  instances: z.array(
    z.object({ id: z.string(), address: z.string(), port: z.number(), unfit: z.string().nullable(), said: texts }),
  ),
});

const manyQueries = z.array(z.object({ key: z.string(), query: z.unknown() }));

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}

const scheme = 'myelin-source:';

type Requested = { readonly specifier: string; readonly parent: string; readonly version: number | null };

/** Imports of `myelin/…` in a user's module get the files of this Myelin, wherever each of them is installed. */
const provided: Readonly<Record<string, string>> = Object.fromEntries(
  ['watcher', 'contract'].map((name) => [`myelin/${name}`, ownModule(`watchers/public/${name}`).href]),
);

let isHooked = false;

function hook(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      if (!specifier.startsWith(scheme)) return next(provided[specifier] ?? specifier, context);
      const request = JSON.parse(decodeURIComponent(specifier.slice(scheme.length))) as Requested;
      const resolved = next(request.specifier, { ...context, parentURL: request.parent });
      return request.version === null ? resolved : { ...resolved, url: `${resolved.url}?${request.version}` };
    },
  });
}

const here = dirname(fileURLToPath(import.meta.url));

/** ` (FILE:LINE:COLUMN)`, where the error comes from a file that is not part of Myelin. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const places = stack.matchAll(/(?:file:\/\/)?(\/[^\s()?:]+)(?:\?[\d.]+)?(:\d+(?::\d+)?)/g);
  const [, path, place] = [...places].find(([, file = '']) => dirname(file) !== here) ?? [];
  return path === undefined ? '' : ` (${path}${place})`;
}
