/** A backend as HAProxy has it when it runs: how it balances, and each server with all that `default-server` gives it. */

import { maxWeight, type Section } from '../../../../model.ts';
import type { InheritedConfig } from '../../../text/inherited-config.ts';
import { type ReadLine, significantLines } from '../../../text/significant-lines.ts';
import { isTakenOut, type Line, readServer } from '../../../text/text.ts';
import {
  keyOf,
  lastValue,
  maxconnOf,
  type Option,
  parseOptions,
  resolveOptions,
  signatureOf,
  wordsOf,
} from './options.ts';

export type Backend = {
  readonly name: string;
  /** By name, in the order of the file. */
  readonly servers: ReadonlyMap<string, Server>;
  /** All but the servers, as text that is the same where HAProxy reads the same. */
  readonly structure: string;
  /** The same with the servers. */
  readonly lines: string;
  /** The balance algorithm, `hash-type` included where it matters. */
  readonly algorithm: string;
  /** `dynamic`: servers may come and change their weight while it runs; `static`: they may be taken out and put back. */
  readonly balance: 'dynamic' | 'static' | 'unknown';
  /** The servers among which it matters where they stand, in the order of the file; an added one stands at the end. */
  readonly ordered: readonly string[];
  /** A `default-server` stands behind servers, so the position of a server's line matters. */
  readonly isMixed: boolean;
  /** Its checks run a program. */
  readonly hasExternalChecks: boolean;
  /** Cookies are made up from the servers' addresses. */
  readonly dynamicCookie: boolean;
  /** Why commands are not safe for this backend; null: they are. */
  readonly notPlain: string | null;
};

export type Server = {
  readonly name: string;
  readonly address: string;
  /** null where the server has no port of its own. */
  readonly port: number | null;
  readonly weight: number;
  /** Connections at once, 0 for no limit; null where no command can set that. */
  readonly maxconn: number | null;
  /** All effective options but the weight and `disabled`. */
  readonly options: readonly Option[];
  /** Its options as words; where something is not understood, all that its line and `default-server` say but the address. */
  readonly words: readonly string[];
  /** Equal for two servers with the same options, but for `maxconn` where that is not null. */
  readonly key: string;
  /** Out of service by its line. */
  readonly isDisabled: boolean;
  /** Equal for two servers whose own lines have the same options; empty: none beyond `default-server`. */
  readonly signature: string;
  /** A keyword that Myelin does not know, so the words after it have no known meaning either. */
  readonly unknown: string | null;
};

/** null where the section is no backend. */
export function readBackend(section: Section, { inherited, isConditional }: InheritedConfig): Backend | null {
  if (section.kind !== 'backend') return null;
  const servers = new Map<string, Server>();
  const structure: string[] = [];
  const lines = significantLines(section);
  const troubles: string[] = isConditional || areServersConditional([...inherited, ...lines]) ? ['.if'] : [];
  const defaults = inherited.filter(({ line }) => line.words[0] === 'default-server');
  const settings = [...inherited];
  let isMixed = false;
  for (const read of lines) {
    const { line, text } = read;
    const keyword = line.words[0] ?? '';
    const server = readServer(line);
    if (server === null) {
      structure.push(text);
      settings.push(read);
      if (keyword === 'default-server') {
        defaults.push(read);
        isMixed ||= servers.size > 0;
      }
      if (keyword === 'server' || keyword === 'server-template') troubles.push(keyword);
      continue;
    }
    if (servers.has(server.name)) troubles.push(`two servers called ${server.name}`);
    if (!line.isExact) troubles.push(`the line of server ${server.name}`);
    servers.set(server.name, readOptions(server, defaults));
  }
  if (defaults.some(({ line }) => !line.isExact)) troubles.push('default-server');
  const { algorithm, balance, isExact } = balanceOf(settings);
  if (!isExact) troubles.push('balance');
  return {
    name: section.name,
    servers,
    structure: structure.join('\n'),
    lines: lines.map(({ text }) => text).join('\n'),
    algorithm,
    balance,
    ordered: orderedOf(algorithm, balance, servers, settings),
    isMixed,
    hasExternalChecks: settings.some(({ line: { words } }) => words[0] === 'option' && words[1] === 'external-check'),
    dynamicCookie: valuesOf(settings, 'cookie').includes('dynamic'),
    notPlain: troubles[0] ?? null,
  };
}

type Written = {
  readonly name: string;
  readonly address: string;
  readonly port: number | null;
  readonly words: Line['words'];
};

/** Whether an `.if` may leave out a line that affects servers; other lines do not matter. */
function areServersConditional(lines: readonly ReadLine[]): boolean {
  let depth = 0;
  return lines.some(({ line: { words } }) => {
    if (words[0] === '.if') depth += 1;
    if (words[0] === '.endif') depth -= 1;
    return depth < 0 || (depth > 0 && (aboutServers.has(words[0] ?? '') || words.includes('allbackups')));
  });
}

const aboutServers: ReadonlySet<string> = new Set([
  'balance',
  'cookie',
  'default-server',
  'hash-type',
  'mode',
  'server',
  'server-template',
]);

function readOptions({ name, address, port, words }: Written, defaults: readonly ReadLine[]): Server {
  const own = parseOptions(words.slice(3));
  const given = defaults.flatMap(({ line }) => line.words.slice(1));
  const all = parseOptions([...given, ...words.slice(3)]);
  const resolved = resolveOptions(all.options);
  const isUnderstood = all.unknown === null;
  const options = resolved.filter(({ keyword }) => keyword !== 'weight' && !isPresence(keyword));
  const weight = lastValue(resolved, 'weight') ?? '1';
  const isWeight = /^\d{1,3}$/.test(weight) && Number(weight) <= maxWeight;
  // Where something is not understood, every word counts, those of `default-server` too.
  const isOut = isTakenOut({ words });
  const counting = isUnderstood ? wordsOf(options) : [...given, ...words.slice(3, isOut ? -1 : undefined)];
  return {
    name,
    address,
    port,
    weight: isWeight ? Number(weight) : 1,
    options,
    words: counting,
    maxconn: isUnderstood ? maxconnOf(options) : null,
    key: isUnderstood ? keyOf(options) : counting.join('\0'),
    isDisabled: isUnderstood ? resolved.some(({ keyword }) => keyword === 'disabled') : isOut,
    signature: signatureOf(own.options.filter(({ keyword }) => !isPresence(keyword))),
    unknown: all.unknown ?? (isWeight ? null : 'weight'),
  };
}

function isPresence(keyword: string): boolean {
  return keyword === 'disabled' || keyword === 'enabled';
}

const dynamicAlgorithms: ReadonlySet<string> = new Set(['roundrobin', 'leastconn', 'first', 'random']);
const hashAlgorithms: ReadonlySet<string> = new Set(['source', 'uri', 'url_param', 'hdr', 'rdp-cookie', 'hash']);

/** The end of the name of a hash algorithm that distributes by server ids. */
export const consistent = 'hash-type consistent';

type Balance = Pick<Backend, 'algorithm' | 'balance'> & { readonly isExact: boolean };

function balanceOf(settings: readonly ReadLine[]): Balance {
  const [algorithm = 'roundrobin'] = valuesOf(settings, 'balance');
  const [hashType = 'map-based'] = valuesOf(settings, 'hash-type');
  const [mode = 'tcp'] = valuesOf(settings, 'mode');
  const name = algorithm.replace(/\(.*$/, '');
  const isHash = hashAlgorithms.has(name);
  const isDynamic = dynamicAlgorithms.has(name) || (isHash && hashType === 'consistent');
  const isStatic = name === 'static-rr' || (isHash && hashType === 'map-based');
  return {
    algorithm: mode === 'log' ? 'mode log' : isHash ? `${name}, hash-type ${hashType}` : name,
    balance: mode === 'log' ? 'unknown' : isDynamic ? 'dynamic' : isStatic ? 'static' : 'unknown',
    isExact: settings.every(
      ({ line }) => line.isExact || !['balance', 'hash-type', 'mode'].includes(line.words[0] ?? ''),
    ),
  };
}

/** `first` and a hash over a map count the servers through; of `backup` servers the first that is up is used, alone. */
function orderedOf(
  algorithm: string,
  balance: Backend['balance'],
  servers: ReadonlyMap<string, Server>,
  settings: readonly ReadLine[],
): readonly string[] {
  const names = [...servers.keys()];
  if (algorithm === 'first' || (balance === 'static' && algorithm !== 'static-rr')) return names;
  const allBackups = settings.findLast(({ line: { words } }) => words.includes('allbackups'));
  if (allBackups !== undefined && allBackups.line.words[0] === 'option') return [];
  return names.filter((name) => servers.get(name)?.options.some(({ keyword }) => keyword === 'backup'));
}

/** The words of the last line that begins with `keyword`, which replaces the earlier ones. */
function valuesOf(settings: readonly ReadLine[], keyword: string): readonly string[] {
  return settings.findLast(({ line }) => line.words[0] === keyword)?.line.words.slice(1) ?? [];
}
