/** The JSON Schema of `myelin.yaml` for editors: what may be written, substitutions and empty sections included. */
import { z } from 'zod';
import { builtIn } from '../schema/watchers.ts';
import { configWith } from '../schema.ts';

type Json = z.core.JSONSchema.JSONSchema;

/** `types`: the possible sources of watchers. */
export function jsonSchema(types = builtIn): Json {
  const root = print(configWith(types));
  const { watchers, services } = root.properties ?? {};
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:myelin:config',
    title: 'myelin.yaml',
    ...root,
    type: 'object',
    patternProperties: { '^x-': { description: 'Yours: a place for anchors.' } },
    properties: {
      ...root.properties,
      watchers: watchersByName(asSchema(watchers)),
      services: withFrom(asSchema(services)),
    },
    $defs: {
      substituted: { title: 'substitution', type: 'string', pattern: '\\$\\{', description: substitution },
      origin: {
        title: 'origin',
        description: 'Watcher name and its query.',
        type: 'object',
        minProperties: 1,
        additionalProperties: { anyOf: [...types.values()].map(({ query }) => print(query)) },
      },
    },
  };
}

const substitution = '${NAME}, ${NAME:-default} or ${file:PATH}';

function print(schema: z.ZodType): Json {
  const { $schema: _, '~standard': __, ...printed } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return forPeople(printed);
}

/** The type of a watcher may be left out where its name is a type. */
function watchersByName(watchers: Json): Json {
  const kinds = asSchema(watchers.additionalProperties).oneOf?.map(asSchema) ?? [];
  const typeOf = (kind: Json): unknown => asSchema(kind.properties?.type).const;
  const named = kinds.map((kind) => {
    const untyped = { ...kind, required: (kind.required ?? []).filter((key) => key !== 'type') };
    return [String(typeOf(kind)), { anyOf: [untyped, ...kinds.filter((other) => other !== kind)] }];
  });
  return { ...watchers, properties: Object.fromEntries(named), additionalProperties: { anyOf: kinds } };
}

/** The schema takes anything for a query: only the watcher knows what a query may hold. */
function withFrom(services: Json): Json {
  const service = asSchema(services.additionalProperties);
  const { description } = asSchema(service.properties?.from);
  const origin = { $ref: '#/$defs/origin' };
  const from: Json = {
    ...(description !== undefined && { description }),
    anyOf: [origin, { type: 'array', minItems: 1, items: origin }],
  };
  return { ...services, additionalProperties: { ...service, properties: { ...service.properties, from } } };
}

/** What zod prints, without our own notes, and with everything else that the loader accepts. */
function forPeople({ expected: _, path: __, raw: ___, secret: ____, ...schema }: Json): Json {
  const inner = mapInner(schema);
  if (schema.type === undefined || schema.const !== undefined) return inner;
  // zod's type of a JSON Schema does not allow a list of types.
  if (schema.type === 'object') return { ...inner, type: ['object', 'null'] as unknown as 'object' };
  if (schema.type === 'array') return { ...inner, type: ['array', 'null'] as unknown as 'array' };
  return orSubstituted(inner);
}

function mapInner(schema: Json): Json {
  const { properties, additionalProperties, items, anyOf, oneOf } = schema;
  return {
    ...schema,
    ...(properties && { properties: mapValues(properties) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: forPeople(additionalProperties) }),
    ...(items !== undefined && { items: forPeople(asSchema(items)) }),
    ...(anyOf && { anyOf: anyOf.map((part) => forPeople(asSchema(part))) }),
    ...(oneOf && { oneOf: oneOf.map((part) => forPeople(asSchema(part))) }),
  };
}

function mapValues(properties: NonNullable<Json['properties']>): NonNullable<Json['properties']> {
  return Object.fromEntries(Object.entries(properties).map(([key, part]) => [key, forPeople(asSchema(part))]));
}

/** The description and default stay outside the choice, where editors look for them. */
function orSubstituted({ description, default: value, title, ...rule }: Json): Json {
  const about = {
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    ...(value !== undefined && { default: value }),
  };
  return allows(rule, '${NAME}') ? { ...about, ...rule } : { ...about, anyOf: [rule, { $ref: '#/$defs/substituted' }] };
}

function allows({ type, enum: values, pattern, allOf = [] }: Json, text: string): boolean {
  const patterns = [pattern, ...allOf.map((part) => asSchema(part).pattern)].filter((one) => one !== undefined);
  return type === 'string' && values === undefined && patterns.every((one) => new RegExp(one).test(text));
}

function asSchema(schema: unknown): Json {
  return typeof schema === 'object' && schema !== null ? (schema as Json) : {};
}
