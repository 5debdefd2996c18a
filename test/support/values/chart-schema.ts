/**
 * What the chart's `values.schema.json` says of `config`: the JSON Schema of `myelin.yaml`, in a form in which Helm's
 * complaints name the mistake and nothing else, and looser than Myelin where no schema can judge.
 */
import { z } from 'zod';
import { jsonSchema } from '../../../src/config/print/json-schema.ts';

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const record = (value: unknown): Json => z.record(z.string(), z.unknown()).parse(value);
const alternatives = (value: unknown): readonly Json[] => z.array(z.record(z.string(), z.unknown())).parse(value);
const definition = (name: string): Json => ({ $ref: `#/$defs/${name}` });

const substitution = definition('substituted');

/** Where the condition does not hold, and no `otherwise` is given, everything is accepted. */
function when(condition: Json, schema: Json, otherwise?: unknown): Json {
  // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
  return { if: condition, then: schema, ...(otherwise !== undefined && { else: otherwise }) };
}

/** The schema of `config`, and the definitions that it refers to. */
export function configSchema(): { readonly config: Json; readonly $defs: Json } {
  const { properties, additionalProperties, patternProperties, $defs } = jsonSchema() as Json;
  const { watchers, services, discover, ...others } = record(properties);
  const { substituted, origin } = record($defs);
  const service = record(record(services).additionalProperties);
  const { from, ...ofService } = record(service.properties);
  const origins = { type: 'object', ...definition('origin') };
  const kinds = watcherKinds(record(watchers));
  const config = {
    type: 'object',
    properties: {
      watchers: watchersSchema(record(watchers), Object.keys(kinds)),
      services: {
        ...record(services),
        additionalProperties: { ...service, properties: { from: described(from), ...ofService } },
      },
      discover: described(discover),
      ...others,
    },
    additionalProperties,
    patternProperties,
    // What queries and limits a source of one's own takes, its module alone knows.
    ...when(
      { properties: { watchers: definition('builtInWatchers') } },
      {
        properties: {
          services: {
            additionalProperties: {
              properties: { from: { anyOf: [origins, { type: 'array', minItems: 1, items: origins }] } },
            },
          },
          discover: { additionalProperties: merged(alternatives(record(record(discover).additionalProperties).anyOf)) },
        },
      },
    ),
  };
  const definitions = {
    ...Object.fromEntries(Object.entries(kinds).map(([type, kind]) => [`${type}Watcher`, kind])),
    builtInWatchers: { additionalProperties: { properties: { type: { enum: Object.keys(kinds) } } } },
    origin: {
      type: 'object',
      minProperties: 1,
      additionalProperties: merged(alternatives(record(record(origin).additionalProperties).anyOf)),
    },
  };
  return {
    config: record(plain(config)),
    $defs: { ...record(plain(definitions)), substituted },
  };
}

/** By type, which is not among what a watcher must say: its name may be one. */
function watcherKinds(watchers: Json): Readonly<Record<string, Json>> {
  const kinds = alternatives(record(watchers.additionalProperties).anyOf).map((kind) => {
    const { required, ...rest } = kind;
    const others = z
      .array(z.string())
      .parse(required)
      .filter((key) => key !== 'type');
    const type = z.string().parse(record(record(kind.properties).type).const);
    return [type, others.length === 0 ? rest : { ...rest, required: others }] as const;
  });
  return Object.fromEntries(kinds);
}

/** A type that is not built in is a source of one's own: its module alone knows what it takes. */
function watchersSchema(watchers: Json, types: readonly string[]): Json {
  const hasType = { required: ['type'] };
  const byType = types.reduceRight<Json | undefined>(
    (others, type) => when({ properties: { type: { const: type } } }, definition(`${type}Watcher`), others),
    undefined,
  );
  const byName = (type: string): Json => when(hasType, byType ?? {}, definition(`${type}Watcher`));
  return {
    ...described(watchers),
    type: 'object',
    propertyNames: watchers.propertyNames,
    properties: Object.fromEntries(types.map((type) => [type, byName(type)])),
    additionalProperties: { type: 'object', ...hasType, ...byType },
  };
}

function described(schema: unknown): Json {
  const { description } = record(schema);
  return description === undefined ? {} : { description };
}

/** An object with the keys of all of them: which of them it is, the schema cannot tell. */
function merged(objects: readonly Json[]): Json {
  const parts = new Map<string, Map<string, unknown>>();
  for (const { properties } of objects)
    for (const [key, part] of Object.entries(record(properties))) {
      const { description: _, default: __, ...rule } = record(part);
      parts.set(key, (parts.get(key) ?? new Map()).set(JSON.stringify(rule), part));
    }
  const properties = [...parts].map(([key, different]) => {
    const [first, ...others] = different.values();
    return [key, others.length === 0 ? first : { anyOf: [first, ...others] }] as const;
  });
  return { type: ['object', 'null'], properties: Object.fromEntries(properties), additionalProperties: false };
}

/** Of a choice Helm names what is wrong with every part: where it is clear which one was meant, only that one is judged. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain);
  if (!isRecord(schema)) return schema;
  const { anyOf, ...rest } = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, plain(part)]));
  return anyOf === undefined ? rest : { ...rest, ...choice(alternatives(anyOf)) };
}

function choice(parts: readonly Json[]): Json {
  const written = parts.filter(({ $ref }) => $ref !== substitution.$ref);
  if (written.length < parts.length) return { if: substitution, else: choice(written) };
  const [first = {}, ...others] = parts;
  if (others.length === 0) return first;
  // Whoever writes a single value most likely meant one: lists and objects are told apart first.
  const ordered = parts.toSorted((one, other) => Number(isScalar(one)) - Number(isScalar(other)));
  const known = ordered.find((part) => parts.every((other) => other === part || areApart(part, other)));
  if (known === undefined) return { anyOf: parts };
  return when({ type: typesOf(known) }, known, choice(parts.filter((part) => part !== known)));
}

function isScalar(part: Json): boolean {
  return !typesOf(part).some((type) => type === 'array' || type === 'object');
}

function areApart(one: Json, other: Json): boolean {
  const [types, others] = [typesOf(one), typesOf(other)];
  return types.length > 0 && others.length > 0 && !types.some((type) => type !== 'null' && others.includes(type));
}

/** None where that is not known. */
function typesOf({ type, then: one, else: other }: Json): readonly unknown[] {
  if (type !== undefined) return [type].flat();
  if (!isRecord(other)) return [];
  const [types, others] = [isRecord(one) ? typesOf(one) : ['string'], typesOf(other)];
  return types.length === 0 || others.length === 0 ? [] : [...new Set([...types, ...others])];
}
