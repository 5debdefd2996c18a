/** Puts values from the environment and from files into the config's strings. The result is text and stays text. */
import { isSecretName, mask } from './mask.ts';

/** What a string becomes; `isChanged` where anything was put in. */
export type Expansion = {
  readonly text: string;
  readonly isChanged: boolean;
  readonly problems: readonly string[];
  /** `text` with a mask in the place of each secret. */
  readonly masked: string;
  /** What came from files and from variables whose name says that they are secret: the key decides whether it is one. */
  readonly secrets: readonly string[];
  /** Those of variables. */
  readonly named: readonly string[];
};

/** The text of a file, or why it could not be read. */
export type FileText = { readonly text: string } | { readonly problem: string };

export type Values = {
  readonly env: NodeJS.ProcessEnv;
  /** By the path as written in the config. */
  readonly files: ReadonlyMap<string, FileText>;
};

const pattern = /\$\$\{|\$\{([^}]*)(\}?)/g;

/** The paths of all `${file:PATH}` in `text`. */
export function filesNamed(text: string): string[] {
  return [...text.matchAll(pattern)].flatMap(([, inner]) => (inner?.startsWith('file:') ? [inner.slice(5)] : []));
}

/** Replaces `${NAME}`, `${NAME:-default}` and `${file:PATH}`; `$${` is a literal `${`. */
export function expand(text: string, values: Values): Expansion {
  const problems: string[] = [];
  const secrets: string[] = [];
  const named: string[] = [];
  let masked = '';
  let result = '';
  let end = 0;
  const put = (its: string, shown: string): void => {
    result += its;
    masked += shown;
  };
  for (const match of text.matchAll(pattern)) {
    const [whole, inner, brace] = match;
    const between = text.slice(end, match.index);
    put(between, between);
    end = match.index + whole.length;
    if (inner === undefined) {
      put('${', '${');
      continue;
    }
    const value = brace === '' ? `${JSON.stringify(whole)} has no closing brace; ${forms}` : lookUp(inner, values);
    if (typeof value === 'string') {
      problems.push(value);
      put(whole, whole);
      continue;
    }
    put(value.text, value.isSecret ? mask : value.text);
    if (value.isSecret) secrets.push(value.text);
    if (value.isSecret && !inner.startsWith('file:')) named.push(value.text);
  }
  const rest = text.slice(end);
  put(rest, rest);
  return { text: result, isChanged: result !== text, problems, masked, secrets, named };
}

const forms = 'write ${NAME}, ${NAME:-default} or ${file:PATH}, and $${ for a literal ${';

/** The value of the text between the braces, or what is wrong with it. */
function lookUp(inner: string, { env, files }: Values): { readonly text: string; readonly isSecret: boolean } | string {
  if (inner.startsWith('file:')) {
    const file = files.get(inner.slice(5)) ?? { problem: `the file ${JSON.stringify(inner.slice(5))} was not read` };
    return 'text' in file ? { text: file.text, isSecret: true } : file.problem;
  }
  const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(inner) ?? [];
  if (name === undefined) return `${JSON.stringify(`\${${inner}}`)} is not a substitution; ${forms}`;
  // As in a shell: the default also replaces an empty value.
  const value = env[name] || (fallback ?? env[name]);
  if (value === undefined)
    return `the environment variable ${name} is not set; set it, or give a default: \${${name}:-value}`;
  return { text: value, isSecret: isSecretName(name) };
}
