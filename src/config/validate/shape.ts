/**
 * Walks a zod schema beside the data that it describes: what a path expects, which strings are paths or secrets.
 * Knows the schema types that `schema.ts` uses, and no others.
 */
import { z } from 'zod';
import type { Path } from '../problems.ts';

/** The notes that `schema.ts` and `values.ts` attach by `meta`. */
export type Notes = {
  readonly title?: string;
  readonly description?: string;
  readonly expected?: string;
  readonly secret?: boolean;
  readonly path?: 'file' | 'program' | 'command';
};

/** What stands inside the wrappers (optional, default, transform); of a union, the member that `value` is meant for. */
export function bare(schema: z.ZodType, value?: unknown): z.ZodType {
  const [inner] = unwrapped(schema, value).slice(-1);
  return inner ?? schema;
}

/** The notes of a schema and of its wrappers; the outer ones win. */
export function notesOf(schema: z.ZodType, value?: unknown): Notes {
  return Object.assign(
    {},
    ...unwrapped(schema, value)
      .reverse()
      .map((layer) => layer.meta() ?? {}),
  );
}

/** The schema of what stands at `key` in `value`, or undefined where the schema has no such place. */
function childOf(schema: z.ZodType, value: unknown, key: string | number): z.ZodType | undefined {
  const inner = bare(schema, value);
  if (inner instanceof z.ZodObject) return Object.hasOwn(inner.shape, key) ? inner.shape[key] : undefined;
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType;
  if (inner instanceof z.ZodArray) return inner.element as z.ZodType;
  return undefined;
}

export function schemaAt(schema: z.ZodType, value: unknown, path: Path): z.ZodType | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  const child = childOf(schema, value, key);
  return child && schemaAt(child, valueAt(value, [key]), rest);
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return undefined;
    return (inner as Record<string | number, unknown>)[key];
  }, value);
}

type Replace = (notes: Notes, value: unknown) => unknown;

/** A copy of `value` in which `replace` has seen every part whose schema carries notes, outside in. */
export function mapNoted<T>(schema: z.ZodType, value: T, replace: Replace): T {
  return mapPart(schema, value, replace) as T;
}

function mapPart(schema: z.ZodType, value: unknown, replace: Replace): unknown {
  const replaced = replace(notesOf(schema, value), value);
  if (replaced !== value || typeof value !== 'object' || value === null) return replaced;
  const part = (inner: unknown, key: string | number): unknown => {
    const child = childOf(schema, value, key);
    return child === undefined ? inner : mapPart(child, inner, replace);
  };
  if (Array.isArray(value)) return value.map(part);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, part(inner, key)]));
}

/** The schema and, one after the other, what it wraps. */
function unwrapped(schema: z.ZodType, value: unknown): z.ZodType[] {
  const inner = unwrap(schema, value);
  return inner === undefined ? [schema] : [schema, ...unwrapped(inner, value)];
}

function unwrap(schema: z.ZodType, value: unknown): z.ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return schema.unwrap() as z.ZodType;
  if (schema instanceof z.ZodPipe) return schema.in as z.ZodType;
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const type = valueAt(value, ['type']);
    const options = schema.options as z.ZodObject<{ type: z.ZodLiteral }>[];
    return options.find(({ shape }) => typeof type === 'string' && shape.type.values.has(type));
  }
  if (schema instanceof z.ZodUnion)
    return (schema.options as z.ZodType[]).find(
      (option) => bare(option) instanceof z.ZodArray === Array.isArray(value),
    );
  return undefined;
}
