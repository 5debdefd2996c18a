/**
 * A HAProxy in a few lines: what it makes of a config, what the runtime API does to servers, with its rules, and nothing
 * else. It reads configs in its own way, so that it does not repeat the mistakes of what it judges.
 */
import type { ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import { serverKeywords } from '../../../src/haproxy/text/servers/server-keywords.ts';
import type { Section, ServerCommand } from '../../../src/model.ts';

type ModelServer = {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** That it was started with. */
  readonly initial: number;
  readonly state: 'ready' | 'drain' | 'maint';
  readonly id: number;
  readonly isBackup: boolean;
  /** What it does beside its address and weight, sorted; what is so by itself left out. */
  readonly options: string;
};

type ModelBackend = {
  readonly isDynamic: boolean;
  /** Among which servers it matters where they stand. */
  readonly order: 'all' | 'backups' | 'none';
  /** All but the servers, as it was read. */
  readonly structure: readonly string[];
  /** In their order: an added one comes last. */
  readonly servers: Map<string, ModelServer>;
};

export class ModelHaproxy {
  readonly #backends: ReadonlyMap<string, ModelBackend>;
  /** All that is no backend, as it was read. */
  readonly #others: readonly string[];
  /** Why it would not start from this; null: it would. */
  readonly refuses: string | null;

  constructor(sections: readonly Section[]) {
    const read = readConfig(sections);
    this.#backends = read.backends;
    this.#others = read.others;
    this.refuses = read.refuses;
  }

  /** Throws where HAProxy would refuse. */
  run(command: ServerCommand): void {
    const backend = this.#backends.get(command.backend);
    if (backend === undefined) throw new Error('No such backend.');
    const { servers } = backend;
    if (command.action === 'add') {
      if (!backend.isDynamic) throw new Error('Backend must use a dynamic load balancing to support dynamic servers.');
      if (servers.has(command.server)) throw new Error('Already exists a server with the same name in backend.');
      const id = Number(command.options[command.options.lastIndexOf('id') + 1]);
      if (!(id > 0 && id < 2 ** 31)) throw new Error(`'id' : invalid custom id ${id}`);
      if ([...servers.values()].some((server) => server.id === id)) throw new Error(`custom id ${id} already used`);
      const { address, port, weight, options } = command;
      servers.set(command.server, {
        address,
        port,
        weight,
        initial: weight,
        state: 'maint',
        id,
        isBackup: options.includes('backup'),
        options: behaviour(options),
      });
      return;
    }
    const server = servers.get(command.server);
    if (server === undefined) throw new Error('No such server.');
    switch (command.action) {
      case 're-address':
        servers.set(command.server, { ...server, address: command.address, port: command.port });
        return;
      case 'weight':
        if (!backend.isDynamic && command.weight !== 0 && command.weight !== server.initial)
          throw new Error("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.");
        servers.set(command.server, { ...server, weight: command.weight });
        return;
      case 'maxconn': {
        const others = server.options.split(' ').filter((each) => each !== '' && !each.startsWith('maxconn='));
        const options = command.maxconn === 0 ? others : [...others, `maxconn=${command.maxconn}`].sort();
        servers.set(command.server, { ...server, options: options.join(' ') });
        return;
      }
      case 'ready':
      case 'maint':
        servers.set(command.server, { ...server, state: command.action });
        return;
      case 'remove':
        servers.set(command.server, { ...server, state: 'maint' });
        return;
      case 'shutdown':
        return;
      case 'delete':
        if (server.state !== 'maint') throw new Error('Only servers in maintenance mode can be deleted.');
        servers.delete(command.server);
        return;
    }
  }

  /** `set server … state`, as an operator says it. */
  setState(backend: string, name: string, state: ModelServer['state']): void {
    const servers = this.#backends.get(backend)?.servers;
    const server = servers?.get(name);
    if (server !== undefined) servers?.set(name, { ...server, state });
  }

  /** As `show servers state` has them. */
  rows(backend: string): readonly ServerStateRow[] {
    const admin = { ready: '0', maint: '1', drain: '8' } as const;
    return [...(this.#backends.get(backend)?.servers ?? [])].map(([name, { address, port, weight, state }]) => ({
      be_name: backend,
      srv_name: name,
      srv_addr: address,
      srv_port: `${port}`,
      srv_fqdn: '-',
      srv_uweight: `${weight}`,
      srv_admin_state: admin[state],
    }));
  }

  /** What gets traffic: `backend/name` with all that matters of it, sorted; and the order where that matters. */
  serving(): readonly string[] {
    const ready = [...this.#backends].map(([backend, { order, servers }]) => {
      const its = [...servers].filter(([, { state }]) => state === 'ready');
      const ordered = its.filter(([, { isBackup }]) => order === 'all' || (order === 'backups' && isBackup));
      return [
        `${backend} ${ordered.map(([name]) => name).join(' < ')}`,
        ...its.map(([name, { address, port, weight, options }]) =>
          [`${backend}/${name}`, address, port, weight, options].join(' '),
        ),
      ];
    });
    return ready.flat().sort();
  }

  /** All that HAProxy does with a request, but for which servers there are. */
  structure(): readonly string[] {
    return [...this.#others, ...[...this.#backends.values()].flatMap(({ structure }) => structure)];
  }

  /** `backend/name` of those that take new connections. */
  takers(): ReadonlySet<string> {
    const takers = [...this.#backends].flatMap(([backend, { servers }]) =>
      [...servers].flatMap(([name, { state, weight }]) =>
        state === 'ready' && weight > 0 ? [`${backend}/${name}`] : [],
      ),
    );
    return new Set(takers);
  }

  /** Backends that can serve. */
  available(): ReadonlySet<string> {
    return new Set([...this.takers()].map((taker) => taker.split('/')[0] ?? ''));
  }
}

type Read = {
  readonly backends: ReadonlyMap<string, ModelBackend>;
  readonly others: readonly string[];
  readonly refuses: string | null;
};

function readConfig(sections: readonly Section[]): Read {
  const backends = new Map<string, ModelBackend>();
  const others: string[] = [];
  const defaults = new Map<string, readonly string[]>();
  let nearest: readonly string[] = [];
  const mentioned: string[] = [];
  let refuses: string | null = null;
  for (const { kind, name, lines } of readSections(sections)) {
    const [opening = ''] = lines;
    const from = / from (\S+)$/.exec(opening)?.[1];
    const inherited = from === undefined ? (kind === 'defaults' ? [] : nearest) : defaults.get(from);
    if (inherited === undefined) refuses = `no defaults ${from}`;
    const all = [...(inherited ?? []), ...lines.slice(1)];
    mentioned.push(...mentions(name, lines));
    if (kind === 'defaults') {
      defaults.set(name, all);
      nearest = all;
    }
    if (kind !== 'backend') {
      others.push(...lines);
      continue;
    }
    if (backends.has(name)) refuses = `two backends ${name}`;
    const { backend, twice } = readBackend(opening, all);
    backends.set(name, backend);
    if (twice !== null) refuses = `another server named ${twice}`;
  }
  const missing = mentioned.find((place) => {
    const [backend = '', server = ''] = place.split('/');
    return backends.get(backend)?.servers.has(server) !== true;
  });
  return { backends, others, refuses: missing === undefined ? refuses : `unable to find ${missing}` };
}

type ReadSection = { readonly kind: string; readonly name: string; readonly lines: readonly string[] };

/** Without comments and blanks, and without what an `.if 0` leaves out. */
function readSections(sections: readonly Section[]): readonly ReadSection[] {
  const read: { kind: string; name: string; lines: string[] }[] = [];
  const conditions: boolean[] = [];
  for (const { text } of sections)
    for (const written of text.split('\n')) {
      const line = written.replace(/#.*/, '').trim();
      if (line === '.if 0' || line === '.if 1') conditions.push(line === '.if 1');
      else if (line === '.endif') conditions.pop();
      else if (line !== '' && !conditions.includes(false)) {
        const [, kind, name = ''] =
          /^(global|defaults|frontend|backend|listen)\b(?: (?!from\b)(\S+))?/.exec(line) ?? [];
        if (kind !== undefined) read.push({ kind, name, lines: [line] });
        else read.at(-1)?.lines.push(line);
      }
    }
  return read;
}

function mentions(backend: string, lines: readonly string[]): readonly string[] {
  return lines
    .flatMap((line) => [/ track (\S+)/.exec(line), /^use-server (\S+)/.exec(line), / srv_conn\((\S+?)\)/.exec(line)])
    .flatMap((found) => found?.[1] ?? [])
    .map((server) => (server.includes('/') ? server : `${backend}/${server}`));
}

/** `lines` with those that it inherits before its own. */
function readBackend(opening: string, lines: readonly string[]): { backend: ModelBackend; twice: string | null } {
  const servers = new Map<string, ModelServer>();
  const structure = [opening];
  let twice: string | null = null;
  let shared: readonly string[] = [];
  let balance = '';
  let isConsistent = false;
  let allBackups = false;
  for (const line of lines) {
    const [keyword, server = '', place = '', ...own] = line.split(' ');
    if (keyword === 'server') {
      if (servers.has(server)) twice = server;
      servers.set(server, readServer(place, [...shared, ...own], servers.size + 1));
      continue;
    }
    structure.push(line);
    if (keyword === 'default-server') shared = [...shared, ...line.split(' ').slice(1)];
    if (keyword === 'balance') balance = server;
    if (keyword === 'hash-type') isConsistent = server === 'consistent';
    if (line.endsWith('option allbackups')) allBackups = keyword === 'option';
  }
  const isHash = ['source', 'uri', 'hdr(host)'].includes(balance);
  const isOrdered = balance === 'first' || (isHash && !isConsistent);
  const order = isOrdered ? 'all' : allBackups ? 'none' : 'backups';
  const isDynamic = isHash ? isConsistent : balance !== 'static-rr';
  return { backend: { isDynamic, order, structure, servers }, twice };
}

function readServer(place: string, words: readonly string[], position: number): ModelServer {
  const colon = place.lastIndexOf(':');
  const weight = Number(lastOf(words, 'weight') ?? 1);
  return {
    address: place.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(place.slice(colon + 1)),
    weight,
    initial: weight,
    state: words.lastIndexOf('disabled') > words.lastIndexOf('enabled') ? 'maint' : 'ready',
    id: Number(lastOf(words, 'id') ?? position),
    isBackup: words.lastIndexOf('backup') > words.lastIndexOf('no-backup'),
    options: behaviour(words),
  };
}

function lastOf(words: readonly string[], keyword: string): string | undefined {
  const at = words.lastIndexOf(keyword);
  return at === -1 ? undefined : words[at + 1];
}

/** What a server does after all its words were read in order, as a text that is equal for equal servers. */
function behaviour(words: readonly string[]): string {
  const settings = new Map<string, string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const takes = serverKeywords.get(word)?.args ?? 0;
    if (word.startsWith('no-')) settings.delete(word.slice(3));
    else settings.set(word, takes === 1 ? (words[++at] ?? '') : '');
  }
  // How a check connects is the server's own way unless it is told; of an added server it has to be said.
  if (settings.has('check') && !settings.has('port')) {
    if (settings.has('ssl')) settings.set('check-ssl', '');
    if (settings.has('send-proxy')) settings.set('check-send-proxy', '');
  }
  if (settings.get('minconn') === settings.get('maxconn')) settings.delete('minconn');
  if (settings.get('maxconn') === '0') settings.delete('maxconn');
  for (const beside of ['id', 'weight', 'init-addr', 'resolvers', 'disabled', 'enabled']) settings.delete(beside);
  for (const [keyword, value] of asInTheFile) if (settings.get(keyword) === value) settings.delete(keyword);
  return [...settings]
    .map(([keyword, value]) => `${keyword}=${value}`)
    .sort()
    .join(' ');
}

const asInTheFile = [
  ['pool-purge-delay', '5s'],
  ['pool-max-conn', '-1'],
  ['error-limit', '10'],
  ['on-error', 'fail-check'],
] as const;
