/** Prints the tables of keys in docs/reference/config.md from the schema, so that the page cannot lag behind it. */
import { z } from 'zod';
import { notesOf } from '../../src/config/validate/shape.ts';

/** The page with every table between `<!-- keys: NAME -->` and `<!-- /keys -->` printed again. */
export function withTables(page: string, sections: Readonly<Record<string, z.ZodType>>): string {
  return page.replaceAll(
    /(<!-- keys: (\S+) -->\n)[\s\S]*?(<!-- \/keys -->)/g,
    (_, open: string, name: string, close) => {
      const section = sections[name];
      if (section === undefined)
        throw new Error(`the page asks for the keys of ${name}, which the schema does not have`);
      return `${open}\n${table(section)}\n${close}`;
    },
  );
}

/** All parts of a schema that have keys of their own, by the path under which the page shows them. */
export function sectionsOf(schema: z.ZodType, name: string): Record<string, z.ZodObject> {
  const inner = bare(schema);
  if (inner instanceof z.ZodDiscriminatedUnion)
    return Object.assign(
      {},
      ...inner.options.map((kind) => sectionsOf(kind as z.ZodObject, `${name}.${typeOf(kind)}`)),
    );
  if (inner instanceof z.ZodRecord) return sectionsOf(inner.valueType as z.ZodType, name);
  if (!(inner instanceof z.ZodObject)) return {};
  const below = Object.entries(inner.shape).map(([key, part]) =>
    sectionsOf(part, name === '' ? key : `${name}.${key}`),
  );
  return Object.assign({ [name || 'config']: inner }, ...below);
}

/** What stands inside the wrappers; of a union without types, the list where `value` is one, else the single item. */
function bare(schema: z.ZodType, value?: unknown): z.ZodType {
  const inner = unwrap(schema, value);
  return inner === undefined ? schema : bare(inner, value);
}

function unwrap(schema: z.ZodType, value: unknown): z.ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return schema.unwrap() as z.ZodType;
  if (schema instanceof z.ZodPipe) return schema.in as z.ZodType;
  if (schema instanceof z.ZodUnion && !(schema instanceof z.ZodDiscriminatedUnion))
    return (schema.options as z.ZodType[]).find(
      (option) => bare(option) instanceof z.ZodArray === Array.isArray(value),
    );
  return undefined;
}

function typeOf(kind: unknown): string {
  return String((kind as z.ZodObject<{ type: z.ZodLiteral }>).shape.type.value);
}

function table(section: z.ZodType): string {
  const inner = bare(section);
  if (!(inner instanceof z.ZodObject)) throw new Error('only an object has keys');
  const rows = Object.entries(inner.shape).map(([key, part]) => {
    const { description = '' } = notesOf(part);
    return `| \`${key}\` | ${cell(typeName(part))} | ${cell(defaultOf(part))} | ${cell(description)} |`;
  });
  return ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** What may be written, in a few words. */
function typeName(schema: z.ZodType): string {
  const one = nameOfOne(schema);
  return isOneOrMany(schema) ? `${one}, or a list of ${plural(one)}` : one;
}

/** In the schema, a union of the item and the list of it. */
function isOneOrMany(schema: z.ZodType): boolean {
  return bare(schema, []) instanceof z.ZodArray && !(bare(schema) instanceof z.ZodArray);
}

function nameOfOne(schema: z.ZodType): string {
  const inner = bare(schema);
  const { title } = notesOf(schema);
  if (title !== undefined) return title;
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `\`${option}\``).join(', ');
  if (inner instanceof z.ZodLiteral) return `\`${inner.value}\``;
  if (inner instanceof z.ZodBoolean) return '`true`, `false`';
  if (inner instanceof z.ZodNumber) return `${inner.format === null ? 'number' : 'whole number'}, ${limits(inner)}`;
  if (inner instanceof z.ZodArray) return `list of ${plural(typeName(inner.element as z.ZodType))}`;
  if (inner instanceof z.ZodRecord) return 'map by name';
  if (inner instanceof z.ZodObject) return 'keys below';
  return 'text';
}

function limits({ minValue, maxValue }: z.ZodNumber): string {
  return maxValue === null || maxValue >= Number.MAX_SAFE_INTEGER
    ? `${minValue} or more`
    : `${minValue} to ${maxValue}`;
}

function plural(noun: string): string {
  if (noun === 'text') return 'texts';
  return noun.replace(/^(\w+)/, '$1s');
}

function defaultOf(schema: z.ZodType): string {
  // Of the literals there is only a watcher's type, which its name may stand for.
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodLiteral) return '';
  if (!(schema instanceof z.ZodDefault) && !(schema instanceof z.ZodPrefault)) return 'required';
  const value: unknown = schema.def.defaultValue;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0 ? '' : `\`${String(value)}\``;
}
