/**
 * A text that templates print without having to think: it encodes itself. What a source said can so add no line,
 * directive or command, whatever a template's author forgot. Helpers see the text behind it.
 */
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

  /** The text itself. */
  get text(): string {
    return this.#text;
  }

  /** Another text that comes from this one, and is to be trusted no more than it. */
  with(text: string): Value {
    return new Value(text, this.#encode);
  }
}

/** A text from a source: anyone who may register may have written it. */
export const fromSource = (text: string): Value => new Value(text, anywhere);

/** A text from the config that is an argument and no line. */
export const fromConfig = (text: string): Value => new Value(text, word);

/**
 * What a source says by key (`meta`), but for what is empty. Without a usual prototype, so that no key means more than
 * itself. Templates print keys as they are, so those must be plain.
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

/** Handlebars names the object that lacks a field. */
const metaPrototype: object = Object.assign(Object.create(null), { [Symbol.toPrimitive]: () => 'meta' });

/** The text that a helper was given, whether it is wrapped or not. */
export function textOf(value: unknown): string {
  if (value instanceof Value) return value.text;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error(value === undefined || value === null ? 'there is no value' : 'a list or group of fields is no text');
}
