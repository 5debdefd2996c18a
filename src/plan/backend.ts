/** A backend as HAProxy has it when it runs: how it balances, and each server with all that `default-server` gives it. */
import { type Line, readServer } from '../haproxy/text.ts';
import type { Section } from '../model.ts';
import { meaning, type ReadLine } from './lines.ts';
import { lastValue, type Option, parseOptions, proofOf, settle, wordsOf } from './options.ts';
import type { Surroundings } from './surroundings.ts';

export type Backend = {
  readonly name: string;
  /** By name, in the order of the file. */
  readonly servers: ReadonlyMap<string, Server>;
  /** All but the servers, as text that is the same where HAProxy reads the same. */
  readonly structure: string;
  /** The balance algorithm, `hash-type` included where it matters. */
  readonly algorithm: string;
  /** Whether servers may come, go and change their weight while it runs. */
  readonly isDynamic: boolean;
  /** The servers are tried in the order of the file, so that a new one cannot be put among them. */
  readonly isOrdered: boolean;
  /** Its checks run a program. */
  readonly hasExternalChecks: boolean;
  /** Cookies are made up from the servers' addresses. */
  readonly dynamicCookie: boolean;
  /** Why commands cannot be trusted here; null: they can. */
  readonly notPlain: string | null;
};

export type Server = {
  readonly name: string;
  readonly address: string;
  /** null where it has none of its own. */
  readonly port: number | null;
  readonly weight: number;
  /** All that holds for it but its weight. */
  readonly options: readonly Option[];
  /** Equal for two servers with the same options. */
  readonly key: string;
  /** Equal for two servers whose own lines ask for the same; empty: it asks for nothing beyond `default-server`. */
  readonly proof: string;
  /** A keyword that is not known here, so that what comes after it is not either. */
  readonly unknown: string | null;
};

/** null for what is no backend. */
export function readBackend(section: Section, { inherited, isConditional }: Surroundings): Backend | null {
  if (section.kind !== 'backend') return null;
  const servers = new Map<string, Server>();
  const structure: string[] = [];
  const troubles: string[] = isConditional ? ['.if'] : [];
  const defaults = inherited.filter(({ line }) => line.words[0] === 'default-server');
  const settings = [...inherited];
  for (const read of meaning(section)) {
    const { line, text } = read;
    const keyword = line.words[0] ?? '';
    const server = readServer(line);
    if (server === null) {
      structure.push(text);
      settings.push(read);
      if (keyword === 'default-server') defaults.push(read);
      if (keyword === 'server' || keyword === 'server-template' || keyword.startsWith('.')) troubles.push(keyword);
      continue;
    }
    if (servers.has(server.name)) troubles.push(`two servers called ${server.name}`);
    if (!line.isExact) troubles.push(`the line of server ${server.name}`);
    servers.set(server.name, readOptions(server, defaults));
  }
  if (defaults.some(({ line }) => !line.isExact)) troubles.push('default-server');
  const balance = balanceOf(settings);
  if (!balance.isExact) troubles.push('balance');
  return {
    name: section.name,
    servers,
    structure: structure.join('\n'),
    ...balance,
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

function readOptions({ name, address, port, words }: Written, defaults: readonly ReadLine[]): Server {
  const own = parseOptions(words.slice(3));
  const all = parseOptions([...defaults.flatMap(({ line }) => line.words.slice(1)), ...words.slice(3)]);
  const settled = settle(all.options);
  const options = settled.filter(({ keyword }) => keyword !== 'weight');
  const weight = lastValue(settled, 'weight') ?? '1';
  const isWeight = /^\d{1,3}$/.test(weight) && Number(weight) <= 256;
  return {
    name,
    address,
    port,
    weight: isWeight ? Number(weight) : 1,
    options,
    // Where something is not understood, every word counts.
    key: all.unknown === null ? wordsOf(options).join('\0') : words.slice(3).join('\0'),
    proof: proofOf(own.options),
    unknown: all.unknown ?? (isWeight ? null : 'weight'),
  };
}

type Balance = Pick<Backend, 'algorithm' | 'isDynamic' | 'isOrdered'> & { readonly isExact: boolean };

const dynamicAlgorithms: ReadonlySet<string> = new Set(['roundrobin', 'leastconn', 'first', 'random']);
const hashAlgorithms: ReadonlySet<string> = new Set(['source', 'uri', 'url_param', 'hdr', 'rdp-cookie', 'hash']);

function balanceOf(settings: readonly ReadLine[]): Balance {
  const [algorithm = 'roundrobin'] = valuesOf(settings, 'balance');
  const [hashType = 'map-based'] = valuesOf(settings, 'hash-type');
  const [mode = 'tcp'] = valuesOf(settings, 'mode');
  const name = algorithm.replace(/\(.*$/, '');
  const isHash = hashAlgorithms.has(name);
  const isDynamic = dynamicAlgorithms.has(name) || (isHash && hashType === 'consistent');
  return {
    algorithm: mode === 'log' ? 'mode log' : isHash ? `${name}, hash-type ${hashType}` : name,
    isDynamic: isDynamic && mode !== 'log',
    isOrdered: name === 'first',
    isExact: settings.every(
      ({ line }) => line.isExact || !['balance', 'hash-type', 'mode'].includes(line.words[0] ?? ''),
    ),
  };
}

/** The words after the last line that begins with `keyword`: it replaces the others. */
function valuesOf(settings: readonly ReadLine[], keyword: string): readonly string[] {
  return settings.findLast(({ line }) => line.words[0] === keyword)?.line.words.slice(1) ?? [];
}
