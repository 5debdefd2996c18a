/**
 * A HAProxy in a few lines: what the runtime API does to servers, with its rules, and nothing else. It reads configs in
 * its own way, so that it does not repeat the mistakes of what it judges.
 */
import { serverKeywords } from '../../src/haproxy/server-keywords.ts';
import type { RuntimeCommand, Section } from '../../src/model.ts';

type ModelServer = {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly state: 'ready' | 'drain' | 'maint';
  readonly id: number;
  /** What it does beside its address and weight, sorted; what is so by itself left out. */
  readonly options: string;
};

type ModelBackend = { readonly isDynamic: boolean; readonly servers: Map<string, ModelServer> };

export class ModelHaproxy {
  readonly #backends: ReadonlyMap<string, ModelBackend>;

  constructor(sections: readonly Section[]) {
    this.#backends = readConfig(sections);
  }

  /** Throws where HAProxy would refuse. */
  run(command: RuntimeCommand): void {
    const backend = this.#backends.get(command.backend);
    if (backend === undefined) throw new Error('No such backend.');
    const { servers } = backend;
    if (command.kind === 'add') {
      if (!backend.isDynamic) throw new Error('Backend must use a dynamic load balancing to support dynamic servers.');
      if (servers.has(command.server)) throw new Error('Already exists a server with the same name in backend.');
      const id = Number(command.options[command.options.lastIndexOf('id') + 1]);
      if (!(id > 0 && id < 2 ** 31)) throw new Error(`'id' : invalid custom id ${id}`);
      if ([...servers.values()].some((server) => server.id === id)) throw new Error(`custom id ${id} already used`);
      const { address, port, weight } = command;
      servers.set(command.server, { address, port, weight, state: 'maint', id, options: behaviour(command.options) });
      return;
    }
    const server = servers.get(command.server);
    if (server === undefined) throw new Error('No such server.');
    switch (command.kind) {
      case 're-address':
        servers.set(command.server, { ...server, address: command.address, port: command.port });
        return;
      case 'weight':
        if (!backend.isDynamic) throw new Error("Backend is using a static LB algorithm and only accepts weights '0%'");
        servers.set(command.server, { ...server, weight: command.weight });
        return;
      case 'ready':
      case 'drain':
      case 'maint':
        servers.set(command.server, { ...server, state: command.kind });
        return;
      case 'remove':
        servers.set(command.server, { ...server, state: 'maint' });
        return;
      case 'delete':
        if (server.state !== 'maint') throw new Error('Only servers in maintenance mode can be deleted.');
        servers.delete(command.server);
        return;
    }
  }

  /** What gets traffic: `backend/name` with all that matters of it, sorted. */
  serving(): readonly string[] {
    return [...this.#backends]
      .flatMap(([backend, { servers }]) =>
        [...servers]
          .filter(([, { state }]) => state === 'ready')
          .map(([name, { address, port, weight, options }]) =>
            [`${backend}/${name}`, address, port, weight, options].join(' '),
          ),
      )
      .sort();
  }

  /** Whether each backend that could serve still can. */
  available(): ReadonlySet<string> {
    const able = [...this.#backends].filter(([, { servers }]) =>
      [...servers.values()].some(({ state, weight }) => state === 'ready' && weight > 0),
    );
    return new Set(able.map(([name]) => name));
  }
}

function readConfig(sections: readonly Section[]): ReadonlyMap<string, ModelBackend> {
  const backends = new Map<string, ModelBackend>();
  let defaults: string[] = [];
  for (const { kind, name, text } of sections) {
    const lines = text.split('\n').map((line) => line.trim());
    if (kind === 'defaults') defaults = lines;
    if (kind !== 'backend') continue;
    const servers = new Map<string, ModelServer>();
    let shared = defaults
      .filter((line) => line.startsWith('default-server '))
      .flatMap((line) => line.split(' ').slice(1));
    let balance = '';
    let isConsistent = false;
    for (const line of [...defaults, ...lines]) {
      if (line.startsWith('balance ')) balance = line.split(' ')[1] ?? '';
      if (line.startsWith('hash-type ')) isConsistent = line.split(' ')[1] === 'consistent';
    }
    for (const line of lines) {
      const [keyword, server = '', place = '', ...own] = line.split(' ');
      if (keyword === 'default-server') shared = [...shared, ...line.split(' ').slice(1)];
      if (keyword !== 'server') continue;
      const words = [...shared, ...own];
      const colon = place.lastIndexOf(':');
      servers.set(server, {
        address: place.slice(0, colon).replace(/^\[|\]$/g, ''),
        port: Number(place.slice(colon + 1)),
        weight: Number(lastOf(words, 'weight') ?? 1),
        state: 'ready',
        id: Number(lastOf(words, 'id') ?? servers.size + 1),
        options: behaviour(words),
      });
    }
    const isHash = ['source', 'uri', 'hdr(host)'].includes(balance);
    backends.set(name, { isDynamic: isHash ? isConsistent : balance !== 'static-rr', servers });
  }
  return backends;
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
  for (const beside of ['id', 'weight', 'init-addr', 'resolvers']) settings.delete(beside);
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
