/**
 * A text that encodes itself when a template prints it. So the data of a source can add no line, directive or command,
 * even where the author of a template forgot to encode it. Helpers see the text behind it.
 */
import type { EndpointOrigin, originFields } from '../../model.ts';
import { anywhere, word } from './encode.ts';

export class Value {
  readonly #text: string;
  readonly #encode: (text: string) => string;

  constructor(text: string, encode: (text: string) => string) {
    this.#text = text;
    this.#encode = encode;
  }

  /** What `{{…}}` prints. */
  toString(): string {
    return this.#encode(this.#text);
  }

  get text(): string {
    return this.#text;
  }

  /** Another text made from this one: it is encoded in the same way. */
  with(text: string): Value {
    return new Value(text, this.#encode);
  }
}

/** A text from a source: anyone who may register services may have written it. */
export const fromSource = (text: string): Value => new Value(text, anywhere);

/** A text from the config that is one argument and not a line. */
export const fromConfig = (text: string): Value => new Value(text, word);

/**
 * A source's data by key (`meta`), without empty values. The object has no usual prototype, so that no key has another
 * meaning. Templates print keys unencoded, so only plain keys are allowed.
 */
export function valuesByKey(
  texts: Readonly<Record<string, string>>,
  value: (text: string) => Value,
): Readonly<Record<string, Value>> {
  const values = Object.create(metaPrototype) as Record<string, Value>;
  for (const [key, text] of Object.entries(texts))
    if (text !== '' && /^[A-Za-z0-9_.:/@-]+$/.test(key)) values[key] = value(text);
  return values;
}

/** Where an endpoint was found: every field is there, null where nothing is known. */
export function originValues(
  { watcher, datacenter, namespace, node, zone }: EndpointOrigin,
  value: (text: string) => Value,
): Readonly<Record<(typeof originFields)[number], Value | null>> {
  const known = (text: string | undefined): Value | null => (text === undefined ? null : value(text));
  return {
    watcher: known(watcher),
    datacenter: known(datacenter),
    namespace: known(namespace),
    node: known(node),
    zone: known(zone),
  };
}

/** Handlebars names the object that lacks a field in its errors. */
const metaPrototype: object = Object.assign(Object.create(null), { [Symbol.toPrimitive]: () => 'meta' });

/** The text that a helper got, whether it is wrapped or not. */
export function textOf(value: unknown): string {
  if (value instanceof Value) return value.text;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error(value === undefined || value === null ? 'there is no value' : 'a list or group of fields is no text');
}
