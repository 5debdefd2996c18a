/**
 * Walks a zod schema beside the data that it describes: which keys a map may have, which values are paths or secrets.
 * It follows every type of zod that holds or wraps others, since the author of a source may use any of them.
 */
import type { z } from 'zod';
import type { Path } from '../problems.ts';
import { isRecord } from '../read/tree.ts';

/** The notes that `meta` of a schema may hold. */
export type Notes = {
  readonly title?: string;
  readonly description?: string;
  readonly expected?: string;
  readonly secret?: boolean;
  /** In HAProxy's own language, of which no schema says what in it is secret: what was put in is. */
  readonly raw?: boolean;
  readonly path?: 'file' | 'program' | 'command';
};

/** The notes of a schema and of the schemas that it wraps; the outer ones win. */
export function notesOf(schema: z.ZodType, value?: unknown): Notes {
  return notesOfAll([schema], value);
}

/** The keys that a map described by `schema` may have. */
export function keysOf(schema: z.ZodType, value: unknown): readonly string[] {
  return layersOf(schema, value).flatMap((layer) => {
    const def = defOf(layer);
    return def.type === 'object' ? Object.keys(def.shape) : [];
  });
}

/** The schema of the part at `path` in `value`; undefined where the schema has no such part. */
export function schemaAt(schema: z.ZodType, value: unknown, path: Path): z.ZodType | undefined {
  let schemas: readonly z.ZodType[] = [schema];
  let inner = value;
  for (const key of path) {
    schemas = childrenOf(schemas, inner, key);
    inner = valueAt(inner, [key]);
  }
  return schemas[0];
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return undefined;
    return (inner as Record<string | number, unknown>)[key];
  }, value);
}

type Replace = (notes: Notes, value: unknown) => unknown;

/** A copy of `value` in which `replace` was applied to every part that the schema describes, from outside to inside. */
export function mapNoted<T>(schema: z.ZodType, value: T, replace: Replace): T {
  return mapPart([schema], value, replace) as T;
}

/**
 * Every text and number within the parts of `value` that the schema calls secret, and in HAProxy's own lines what was put
 * into them: `inserted` has that by the whole text.
 */
export function secretsIn(
  schema: z.ZodType,
  value: unknown,
  inserted: ReadonlyMap<string, { readonly secrets: readonly string[] }> = new Map(),
): readonly string[] {
  const secrets: string[] = [];
  mapNoted(schema, value, (notes, part) => {
    const put = notes.raw && typeof part === 'string' ? (inserted.get(part)?.secrets ?? []) : [];
    for (const secret of notes.secret ? textsIn(part) : put) secrets.push(secret);
    return part;
  });
  return secrets;
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'number' || typeof value === 'bigint') return [String(value)];
  if (value instanceof Map) return [...value].flat().flatMap(textsIn);
  if (Array.isArray(value) || value instanceof Set) return [...value].flatMap(textsIn);
  return isRecord(value) ? Object.values(value).flatMap(textsIn) : [];
}

/** `schemas`: all schemas that may describe `value`: a union has several members, an intersection has two sides. */
function mapPart(schemas: readonly z.ZodType[], value: unknown, replace: Replace): unknown {
  if (schemas.length === 0) return value;
  const replaced = replace(notesOfAll(schemas, value), value);
  if (replaced !== value) return replaced;
  const part = (inner: unknown, key: string | number): unknown =>
    mapPart(childrenOf(schemas, value, key), inner, replace);
  if (Array.isArray(value)) return value.map(part);
  if (value instanceof Set) return new Set([...value].map(part));
  if (value instanceof Map)
    return new Map([...value].map(([key, inner]: [unknown, unknown]) => [key, part(inner, String(key))]));
  // An object that a schema's transform made, such as a URL, must stay whole.
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, part(inner, key)]));
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null);
}

function notesOfAll(schemas: readonly z.ZodType[], value: unknown): Notes {
  const notes = schemas.flatMap((schema) => layersOf(schema, value)).map((layer) => layer.meta() ?? {});
  // Where only one of several possible schemas calls the value secret, it may be secret.
  const isSecret = notes.some(({ secret }) => secret === true);
  return Object.assign({}, ...notes.reverse(), isSecret ? { secret: true } : {});
}

/** The schemas of the part at `key` in `value`. */
function childrenOf(schemas: readonly z.ZodType[], value: unknown, key: string | number): readonly z.ZodType[] {
  const layers = schemas.flatMap((schema) => layersOf(schema, value));
  return layers.flatMap((layer) => (childOf(layer, key) as z.ZodType | null | undefined) ?? []);
}

function childOf(layer: z.ZodType, key: string | number): z.core.$ZodType | null | undefined {
  const def = defOf(layer);
  if (def.type === 'object') {
    if (Object.hasOwn(def.shape, key)) return def.shape[key];
    // A strict object has a catchall that accepts nothing.
    return def.catchall !== undefined && defOf(def.catchall).type === 'never' ? undefined : def.catchall;
  }
  if (def.type === 'tuple') return def.items[Number(key)] ?? def.rest;
  if (def.type === 'array') return def.element;
  return 'valueType' in def ? def.valueType : undefined;
}

/** `schema` and all schemas that it wraps or joins, the outer ones first; of a union those that `value` may match. */
function layersOf(schema: z.ZodType, value: unknown): readonly z.ZodType[] {
  const layers = new Set<z.ZodType>();
  add(schema);
  return [...layers];

  function add(layer: z.ZodType): void {
    // A lazy schema may refer to itself.
    if (layers.has(layer)) return;
    layers.add(layer);
    for (const inner of wrappedBy(layer, value)) add(inner as z.ZodType);
  }
}

function wrappedBy(schema: z.ZodType, value: unknown): readonly z.core.$ZodType[] {
  const def = defOf(schema);
  if ('innerType' in def) return [def.innerType];
  if (def.type === 'lazy') return [def.getter()];
  if (def.type === 'pipe') return [def.in, def.out];
  if (def.type === 'intersection') return [def.left, def.right];
  if (def.type !== 'union') return [];
  const fitting = def.options.filter((option) => fits(option as z.ZodType, value));
  return fitting.length === 0 ? def.options : fitting;
}

const listTypes: readonly string[] = ['array', 'tuple', 'set'];
const scalarTypes: readonly string[] = ['string', 'number', 'boolean', 'literal', 'enum'];

/** Whether `value` may match `schema`, judged by the type of `value` and the keys with fixed values. */
function fits(schema: z.ZodType, value: unknown): boolean {
  const def = defOf(schema);
  const isList = Array.isArray(value) || value instanceof Set;
  const isObject = typeof value === 'object' && value !== null && !isList;
  if (def.type === 'object')
    return isObject && Object.entries(def.shape).every(([key, member]) => isMember(member, valueAt(value, [key])));
  if (def.type === 'pipe') return fits(def.in as z.ZodType, value) || fits(def.out as z.ZodType, value);
  if (def.type === 'union') return def.options.some((option) => fits(option as z.ZodType, value));
  if ('innerType' in def) return fits(def.innerType as z.ZodType, value);
  if (def.type === 'record' || def.type === 'map') return isObject;
  if (listTypes.includes(def.type)) return isList;
  return !scalarTypes.includes(def.type) || (!isObject && !isList);
}

/** A key with a fixed value tells the members of a union apart. */
function isMember(schema: z.core.$ZodType, value: unknown): boolean {
  const def = defOf(schema);
  return def.type !== 'literal' || (def.values as readonly unknown[]).includes(value);
}

function defOf(schema: z.core.$ZodType) {
  return (schema as z.core.$ZodTypes)._zod.def;
}
