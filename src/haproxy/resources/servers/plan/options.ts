/**
 * The effective options of a server: those of `default-server` first, then its own, where a later
 * one undoes an earlier one. `add server` knows no `default-server`, so defaults are expanded for it.
 */
import { serverKeywords } from '../../../text/servers/server-keywords.ts';

export type Option = { readonly keyword: string; readonly args: readonly string[] };

/** Cuts words into options. Stops at an unknown keyword, because the number of its words is unknown too. */
export function parseOptions(words: readonly string[]): {
  readonly options: Option[];
  readonly unknown: string | null;
} {
  const options: Option[] = [];
  for (let at = 0; at < words.length; ) {
    const keyword = words[at] ?? '';
    const known = serverKeywords.get(keyword);
    if (known === undefined || at + known.args >= words.length) return { options, unknown: keyword };
    options.push({ keyword, args: words.slice(at + 1, at + 1 + known.args) });
    at += 1 + known.args;
  }
  return { options, unknown: null };
}

/** Without what a later option undoes: `check … no-check`. */
export function resolveOptions(options: readonly Option[]): Option[] {
  const resolved: Option[] = [];
  for (const option of options) {
    const opposite = oppositeOf(option.keyword);
    for (let at = resolved.length - 1; at >= 0; at--) if (resolved[at]?.keyword === opposite) resolved.splice(at, 1);
    resolved.push(option);
  }
  return resolved;
}

/** The last one counts. */
export function lastValue(options: readonly Option[], keyword: string): string | undefined {
  return options.findLast((option) => option.keyword === keyword)?.args[0];
}

/**
 * The `maxconn` of resolved options where a command can set it; 0: none. null: it cannot, because `minconn` changes the
 * meaning of `maxconn`, or because the value is no plain number.
 */
export function maxconnOf(resolved: readonly Option[]): number | null {
  const maxconn = lastValue(resolved, 'maxconn') ?? '0';
  return lastValue(resolved, 'minconn') === undefined && isPlainNumber(maxconn) ? Number(maxconn) : null;
}

/** Equal for two servers with the same resolved options, as far as no command changes them. */
export function keyOf(resolved: readonly Option[]): string {
  const isSettable = maxconnOf(resolved) !== null;
  return wordsOf(resolved.filter(({ keyword }) => keyword !== 'maxconn' || !isSettable)).join('\0');
}

function isPlainNumber(word: string): boolean {
  return /^\d{1,9}$/.test(word);
}

/** For a command about a server with these options. */
export function agentOf(options: readonly Option[]): { readonly hasAgent?: true } {
  return options.some(({ keyword }) => keyword === 'agent-check') ? { hasAgent: true } : {};
}

/**
 * The options that `add server` needs for a server with an IP address: without those that are the default, and with
 * those that a server of the file has by default. Checks of an added server are plain by default (7d098bea2).
 */
export function expandDefaults(resolved: readonly Option[]): Option[] {
  const has = (keyword: string): boolean => resolved.some((option) => option.keyword === keyword);
  const hasOwnTarget = has('port') || has('addr');
  const sendsProxy = resolved.some(({ keyword }) => keyword.startsWith('send-proxy'));
  const implied: Option[] = [];
  const imply = (keyword: string): void => {
    if (!has(keyword)) implied.push({ keyword, args: [] });
  };
  if (has('check') && !hasOwnTarget) {
    if (has('ssl') && !has('no-check-ssl')) imply('check-ssl');
    if (sendsProxy) imply('check-send-proxy');
  }
  // Before 2.6.9 and 2.8 a server that is added with `maxconn` alone takes no connection at all (86207e782).
  const maxconn = maxconnOf(resolved);
  if (maxconn !== null && maxconn > 0) implied.push({ keyword: 'minconn', args: [`${maxconn}`] });
  return [...resolved.filter(({ keyword }) => !isSoAnyway(keyword)), ...implied];
}

export function wordsOf(options: readonly Option[]): string[] {
  return options.flatMap(({ keyword, args }) => [keyword, ...args]);
}

const pairs: ReadonlyMap<string, string> = new Map([
  ['stick', 'non-stick'],
  ['non-stick', 'stick'],
  ['enabled', 'disabled'],
  ['disabled', 'enabled'],
]);

function oppositeOf(keyword: string): string | undefined {
  const positive = positiveOf(keyword);
  if (positive !== null) return positive;
  const negative = `no-${keyword}`;
  return pairs.get(keyword) ?? (serverKeywords.has(negative) ? negative : undefined);
}

/** `check` for `no-check`; null where nothing is undone, as by `no-tlsv10`. */
function positiveOf(keyword: string): string | null {
  const positive = keyword.startsWith('no-') ? keyword.slice(3) : '';
  return serverKeywords.has(positive) ? positive : null;
}

const onByDefault: ReadonlySet<string> = new Set([
  'check-sni-auto',
  'enabled',
  'renegotiate',
  'sni-auto',
  'ssl-reuse',
  'stick',
  'tls-tickets',
]);

/** Options about name resolution do not matter for an IP address. */
const onlyForNames: ReadonlySet<string> = new Set([
  'init-addr',
  'resolve-net',
  'resolve-opts',
  'resolve-prefer',
  'resolvers',
]);

function isSoAnyway(keyword: string): boolean {
  if (onByDefault.has(keyword) || onlyForNames.has(keyword)) return true;
  const positive = positiveOf(keyword);
  return positive !== null && !onByDefault.has(positive);
}

/** The options by which a line differs from its neighbours without being another kind of server. */
const namesItself: ReadonlySet<string> = new Set(['cookie', 'guid']);

/** Equal for two servers where one proves that HAProxy also accepts the other's options. */
export function signatureOf(own: readonly Option[]): string {
  return (
    own
      // A number is always taken.
      .filter(
        ({ keyword, args: [number = ''] }) =>
          keyword !== 'weight' &&
          !(keyword === 'id' && /^[1-9]\d{0,9}$/.test(number)) &&
          !(keyword === 'maxconn' && isPlainNumber(number)),
      )
      .map(({ keyword, args }) => {
        const isPlain = namesItself.has(keyword) && /^[A-Za-z0-9_.:-]+$/.test(args[0] ?? '');
        return [keyword, ...(isPlain ? [] : args)].join('\0');
      })
      .join('\0\0')
  );
}
