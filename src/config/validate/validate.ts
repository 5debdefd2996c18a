/** Validates one part of the config by its schema, and words each problem for the author of the config. */
import { z } from 'zod';
import { describe } from '../../errors.ts';
import { didYouMean } from '../../lib/did-you-mean.ts';
import type { Path } from '../problems.ts';
import { isRecord, type Mark, markAt } from '../read/tree.ts';
import { keysOf, notesOf, schemaAt, valueAt } from './shape.ts';

type Issue = z.core.$ZodIssue;

/** `path` counts within the part; `isKey` where the key is wrong and not its value. */
type PartProblem = { readonly path: Path; readonly message: string; readonly isKey: boolean };

type Verdict<T> = { readonly output: T } | { readonly problems: readonly PartProblem[] };

/** The parsed `value`, or everything that is wrong with it; `mark` says how it was written. */
export function validate<S extends z.ZodType>(schema: S, value: unknown, mark: Mark | undefined): Verdict<z.output<S>> {
  for (let judged = value; ; ) {
    const result = tryParse(schema, judged);
    if ('output' in result) return result;
    if ('problem' in result)
      return { problems: [{ path: onlyKey(schema, value), message: result.problem, isKey: false }] };
    const { issues } = result;
    const repaired = issues.reduce((all, issue) => repair(all, issue, mark), judged);
    if (repaired === judged) return { problems: issues.flatMap((issue) => explain(schema, judged, issue)) };
    judged = repaired;
  }
}

/** The schema of a user's module may throw, or be asynchronous. */
function tryParse<S extends z.ZodType>(
  schema: S,
  value: unknown,
): { readonly output: z.output<S> } | { readonly issues: readonly Issue[] } | { readonly problem: string } {
  try {
    const { success, data, error } = schema.safeParse(value);
    return success ? { output: data } : { issues: error.issues };
  } catch (error) {
    return {
      problem: `its schema has failed: ${describe(error)}; what it calls must neither throw nor return a promise`,
    };
  }
}

/** The key of a record with one entry: an error that a schema throws does not name its place. */
function onlyKey(schema: z.ZodType, value: unknown): Path {
  return schema instanceof z.ZodRecord && isRecord(value) ? Object.keys(value).slice(0, 1) : [];
}

/**
 * Ambiguities of YAML that the schema resolves: `reload:` with nothing below it is an empty map, `include:` an empty
 * list, and `"${PORT}"` a number where a number is expected.
 */
function repair(value: unknown, issue: Issue, mark: Mark | undefined): unknown {
  if (issue.code !== 'invalid_type') return value;
  const path = pathOf(issue);
  const written = valueAt(value, path);
  if (written === null && (issue.expected === 'object' || issue.expected === 'record'))
    return replaceAt(value, path, {});
  if (written === null && issue.expected === 'array') return replaceAt(value, path, []);
  if (typeof written !== 'string' || !markAt(mark, path)?.isSubstituted) return value;
  if (issue.expected === 'boolean' && /^(true|false)$/.test(written)) return replaceAt(value, path, written === 'true');
  if ((issue.expected === 'number' || issue.expected === 'int') && /^-?\d+(\.\d+)?$/.test(written))
    return replaceAt(value, path, Number(written));
  return value;
}

/** A copy of `value` with `replacement` at `path`. */
export function replaceAt(value: unknown, [key, ...rest]: Path, replacement: unknown): unknown {
  if (key === undefined) return replacement;
  const inner = replaceAt(valueAt(value, [key]), rest, replacement);
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === key ? inner : item));
  return isRecord(value) ? { ...value, [key]: inner } : value;
}

function explain(schema: z.ZodType, value: unknown, issue: Issue): PartProblem[] {
  const path = pathOf(issue);
  const written = valueAt(value, path);
  const place = schemaAt(schema, value, path);
  const notes = place === undefined ? {} : notesOf(place, written);
  const problem = (message: string, isKey = false): PartProblem[] => [{ path, message, isKey }];
  const refuse = (allowed: string): PartProblem[] => {
    if (written === undefined) return problem(`is missing; ${allowed}`, true);
    if (written === null) return problem(`has no value; ${allowed}`);
    return problem(`${notes.secret ? 'this value' : show(written)} is not allowed; ${allowed}`);
  };
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = place === undefined ? [] : keysOf(place, written);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown key; allowed: ${known.join(', ')}${didYouMean(key, known)}`,
        isKey: true,
      }));
    }
    case 'invalid_type': {
      const expected = notes.expected ?? typeNames[issue.expected] ?? issue.expected;
      const isUnquoted = expected === typeNames.string && (typeof written === 'number' || typeof written === 'boolean');
      return refuse(`expected ${expected}${isUnquoted ? `: put it in quotes, "${written}"` : ''}`);
    }
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      return refuse(`allowed: ${allowed.join(', ')}${didYouMean(String(written), allowed)}`);
    }
    case 'invalid_union': {
      if (issue.discriminator !== undefined) {
        const allowed = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
        return refuse(`allowed: ${allowed.join(', ')}${didYouMean(String(written), allowed)}`);
      }
      if (notes.expected !== undefined) return refuse(`expected ${notes.expected}`);
      // Our other unions are "one item or a list of them", and "a text or its parts by key".
      const inner = issue.errors.find((errors) => !errors.some(isOtherType)) ?? issue.errors[0] ?? [];
      return inner.flatMap((one) => explain(schema, value, { ...one, path: [...issue.path, ...one.path] }));
    }
    case 'invalid_key':
      return problem(issue.issues[0]?.message ?? issue.message, true);
    case 'too_small':
      if (issue.origin === 'string') return problem(`is empty; expected ${notes.expected ?? typeNames.string}`);
      return issue.origin === 'array' ? problem(issue.message) : refuse(`expected at least ${issue.minimum}`);
    case 'too_big':
      return issue.origin === 'string'
        ? refuse(`expected at most ${issue.maximum} characters`)
        : refuse(`expected at most ${issue.maximum}`);
    case 'invalid_format':
    case 'custom':
      return issue.message.startsWith('expected ') ? refuse(issue.message) : problem(issue.message);
    case 'not_multiple_of':
    case 'invalid_element':
      return problem(issue.message);
  }
}

/** The value has another type: this member of the union is not meant. */
function isOtherType({ code, path, ...rest }: Issue): boolean {
  if (path.length > 0) return false;
  return code === 'invalid_type' || ('errors' in rest && rest.errors.every((errors) => errors.some(isOtherType)));
}

const typeNames: Readonly<Record<string, string>> & { readonly string: string } = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys and values',
  record: 'a map of names and their settings',
};

function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}

function pathOf(issue: Issue): Path {
  return issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
}
