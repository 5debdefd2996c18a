/** Whoever may register may say what they like: it adds no line to the config, costs nobody else anything, and what is refused is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf, splitSections, tokenise } from '../../../src/haproxy/text/text.ts';
import { startBackends } from '../../servers/backend.ts';
import { type Registration, startConsul } from '../../servers/consul.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort, until } from '../../support/index.ts';
import { assertValid, servedBy } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';

const consul = await forFile(startConsul());

/** A name that is hard on every parser between the source and HAProxy, and yet asked for as it is. */
const service = 'we b"\'#{{x}}%[src]$HOME\\é';

/** What can stand on one line: it serves, as the name that it is. */
const printable = [
  '"',
  "'",
  '#',
  '\\',
  '\\n    server evil 192.0.2.1:80',
  '"\\n',
  "x' server evil 192.0.2.1:80 #",
  '{{#each servers}}{{this}}{{/each}}',
  '{{{meta.zone}}}',
  '%[src] %[env(HOME)] %T',
  '$HOME ${HOME} "$HOME"',
  'a;b&c|d`e`(f)<g>,h',
  '-f',
  '--',
  'backend evil',
  'x'.repeat(300),
  'é日本\u00a0\u202e🦀',
  '__proto__',
  '1',
];

/** What cannot: as an id it is refused, as a tag or meta value it is left out. */
const unprintable = [
  'x\n    server evil 192.0.2.1:80',
  'x\nbackend evil\n    server evil 192.0.2.1:80',
  'x\r\nglobal',
  'x\ty',
  'x\u001b[2J',
  'x\u007f',
  'x\u2028y',
];

const addresses = [
  '127.0.0.1\n    server evil 192.0.2.1:80',
  '127.0.0.1 backup',
  '127.0.0.1:80',
  '[::1]',
  '0177.0.0.1',
  '127.1',
  'localhost',
  'unix@/run/evil.sock',
  'fd@0',
  '/etc/passwd',
  '${HOME}',
  '%[src]',
  '{{address}}',
  'fe80::1%lo',
  '"',
  'x'.repeat(300),
];

/** Where an allow line would let it in. */
const special: Readonly<Record<string, string>> = {
  '169.254.169.254': '169.254.169.254',
  '::ffff:169.254.169.254': '169.254.169.254',
  '169.254.1.1': '169.254.1.1',
  '224.0.0.1': '224.0.0.1',
  'fe80::1': '"fe80::1"',
  '64:ff9b::a9fe:a9fe': '169.254.169.254',
};

type Entry = {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
};

/** Each with an address of its own, at which one of `servers` answers with it. */
function entriesAt(port: number) {
  let last = 1;
  const entry = (id: string, text: string, address = `127.0.1.${++last}`): Entry => ({
    id,
    address,
    port,
    tags: [text],
    meta: { zone: text },
  });
  const good = entry('good', 'plain');
  const named = printable.map((text) => entry(text, text));
  const stripped = unprintable.map((text, at) => entry(`stripped-${at}`, text));
  const refused = [
    ...unprintable.map((text) => entry(text, 'refused')),
    ...addresses.map((address, at) => entry(`address-${at}`, 'refused', address)),
    ...Object.keys(special).map((address) => entry(`special ${address}`, 'refused', address)),
  ];
  return { named: [good, ...named], stripped, refused };
}

/** Prints what the source said wherever it likes, with no thought of quoting. */
const careless = `
backend {{name}}
{{#each servers}}
    # {{id}} {{join tags " "}}
    {{> server}} # {{id}}
    http-response add-header X-Bare {{or (join tags " ") "none"}}
    http-response add-header X-Weak "{{or meta.zone "none"}}"
    http-response add-header X-Strong '{{or meta.zone "none"}}' # {{or meta.zone "none"}}
{{/each}}
`;

const sources: Readonly<Record<string, (entries: readonly Entry[]) => Promise<Source>>> = {
  async 'the file'(entries) {
    return {
      watcher: 'file: { path: services.json }',
      files: { 'services.json': JSON.stringify({ services: { [service]: entries, 'evil\nbackend x': entries } }) },
      accepted: entries,
    };
  },
  async Consul(entries) {
    const accepted: Entry[] = [];
    for (const entry of entries)
      await consul.register({ name: service, ...entry }).then(
        () => accepted.push(entry),
        (error: unknown) => assert.match(String(error), /HTTP 4\d\d/),
      );
    return { watcher: `consul: { address: "${consul.address}" }`, files: {}, accepted };
  },
};

type Source = {
  readonly watcher: string;
  readonly files: Readonly<Record<string, string>>;
  /** Consul refuses some by itself. */
  readonly accepted: readonly Entry[];
};

for (const [what, begin] of Object.entries(sources))
  test(`hostile names, tags, meta and addresses from ${what}: no line is injected, the rest serves, what is refused is told`, async () => {
    const [port, serverPort] = [await freePort(), await freePort()];
    const { named, stripped, refused } = entriesAt(serverPort);
    await using _servers = await listening([...named, ...stripped]);
    const { watcher, files, accepted } = await begin([...named, ...stripped, ...refused]);
    const isAccepted = (entry: Entry): boolean => accepted.includes(entry);
    const serving = [...named, ...stripped].filter(isAccepted);
    assert.ok(serving.length >= printable.length, `${serving.length} of the entries are accepted by the source`);
    assert.ok(refused.filter(isAccepted).length >= 10);

    await using place = await workplace(
      [
        `watchers: { ${watcher} }`,
        `services: { web: { from: { ${watcher.split(':')[0]}: { service: ${JSON.stringify(service)} } }, bind: "127.0.0.1:${port}" } }`,
        'allowAddresses: [127.0.0.0/8]',
        'templates: ./templates',
        'haproxy: { log: none }',
        'probes: { listen: "off" }',
        '',
      ].join('\n'),
    );
    await place.write('templates/backend.hbs', careless);
    for (const [name, text] of Object.entries(files)) await place.write(name, text);
    const myelin = place.run();
    const status = await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));

    await assertValid(place);
    const sections = splitSections(await place.read('run/haproxy.cfg'));
    assert.deepEqual(
      sections.map(({ kind, name }) => `${kind} ${name}`.trim()),
      ['global', 'defaults', 'frontend web:in', 'backend web'],
    );
    const lines = linesOf(sections.at(-1)?.text ?? '').map(tokenise);
    assert.ok(lines.every(({ isExact }) => isExact));
    const words = lines.map((line) => line.words).filter((line) => line.length > 0);
    assert.deepEqual(words[0], ['backend', 'web']);
    assert.equal(words.length, 1 + 4 * serving.length);
    const expected = new Set(serving.map(({ address }) => `${address}:${serverPort}`));
    for (let at = 1; at < words.length; at += 4) {
      const [server = [], ...headers] = words.slice(at, at + 4);
      const [keyword, name, address = '', ...rest] = server;
      assert.deepEqual([keyword, ...rest], ['server', 'weight', '1']);
      assert.match(name ?? '', /^[A-Za-z0-9_.:-]{1,60}$/);
      assert.ok(expected.delete(address), address);
      for (const [index, header] of ['X-Bare', 'X-Weak', 'X-Strong'].entries())
        assert.deepEqual([...(headers[index] ?? [])].slice(0, 3), ['http-response', 'add-header', header]);
      assert.ok(headers.every((line) => line.length === 4));
    }
    assert.deepEqual([...expected], []);

    // HAProxy evaluates what it was given to exactly the texts of the source; in strong quotes the escapes stay.
    const texts = serving.map(({ tags: [tag = ''] }) => (unprintable.includes(tag) ? 'none' : tag)).sort();
    const { headers } = await ask(port);
    assert.deepEqual(headers.get('x-bare')?.sort(), texts);
    assert.deepEqual(headers.get('x-weak')?.sort(), texts);
    assert.deepEqual(headers.get('x-strong')?.map(unescaped).sort(), texts);
    const seen = new Set<string>();
    await until('every one of them answers', async () => {
      seen.add((await ask(port)).body);
      return seen.size === serving.length;
    });

    const [web] = status.services;
    assert.deepEqual(web?.endpoints, {
      ready: serving.length,
      draining: 0,
      kept: 0,
      unfit: 0,
      refused: refused.filter(isAccepted).length,
    });
    const reasons = new Map(web?.refused.map(({ id, part, reason }) => [`${part} of ${id}`, reason]));
    const reasonOf = (part: string, id: string): string =>
      [...reasons].find(([key]) => key.startsWith(`${part} of `) && key.includes(id))?.[1] ?? 'nothing';
    for (const entry of stripped.filter(isAccepted)) {
      assert.match(reasonOf('tag', entry.id), /holds line breaks or other control characters/);
      assert.match(reasonOf('meta', entry.id), /zone.*holds line breaks or other control characters/);
    }
    for (const { id, address } of refused.filter(isAccepted).filter((entry) => !unprintable.includes(entry.id))) {
      const allow = special[address];
      // Consul's watcher speaks of names itself, since it could resolve them.
      if (address === 'localhost' && reasonOf('endpoint', id) === 'nothing')
        assert.match(reasonOf('entry', id), /is the host "localhost"; to accept it, write hostNames: resolve/);
      else if (allow === undefined) assert.match(reasonOf('endpoint', id), /must be an IPv4 or IPv6 literal/);
      else assert.ok(reasonOf('endpoint', id).endsWith(`write allowAddresses: [${allow}]`), reasonOf('endpoint', id));
    }
    const isClean = ({ id, reason }: { readonly id: string; readonly reason: string }): boolean =>
      !/[\p{Cc}\u2028]/u.test(id + reason);
    assert.ok(web?.refused.every(isClean), 'what is told is fit to be printed');
  });

test('the refusal of this machine’s address prints the line that allows it, and writing that line serves', async () => {
  const port = await freePort();
  await using alpha = await listening([{ address: '127.0.0.1', port: await freePort() }]);
  await consul.register({ name: 'local', address: '127.0.0.1', port: alpha.port });
  const config = [
    `watchers: { consul: { address: "${consul.address}" } }`,
    `services: { local: { bind: "127.0.0.1:${port}" } }`,
    'haproxy: { log: none }',
    'reload: { minInterval: 0ms }',
    'probes: { listen: "off" }',
    '',
  ].join('\n');
  await using place = await workplace(config);
  const myelin = place.run();
  const { services } = await myelin.until('it is refused', (status) => status.services[0]?.endpoints.refused === 1);
  const [, line] = /write (allowAddresses: .*)$/.exec(services[0]?.refused[0]?.reason ?? '') ?? [];
  assert.equal(line, 'allowAddresses: [127.0.0.0/8]');
  assert.ok(myelin.output.includes(line), 'the log says it too');
  await servedBy(port, '503');
  await place.write('myelin.yaml', `${config}${line}\n`);
  await servedBy(port, '127.0.0.1');
  assert.deepEqual((await place.status()).services[0]?.refused, []);
});

/** What fills a registration of up to `bytes`: tags and meta of any number and length, instances of any number. */
const fat = (bytes: number): fc.Arbitrary<readonly Registration[]> =>
  fc
    .record({
      text: fc.constantFrom('\n', 'x', '"', '\u2028', 'é', '{{', '%[src]'),
      tagLength: fc.constantFrom(1, 100, bytes),
      metas: fc.nat(64),
      instances: fc.constantFrom(1, 1, 40),
      address: fc.constantFrom('192.0.2.1', '127.0.0.1', '\n', 'x'.repeat(100_000)),
    })
    .map(({ text, tagLength, metas, instances, address }) => {
      const tag = text.repeat(tagLength).slice(0, tagLength);
      // As it is sent: an escape is up to six characters.
      const each = Buffer.byteLength(JSON.stringify(tag)) + 1;
      const tags = Array<string>(Math.max(1, Math.floor(bytes / instances / each))).fill(
        tag.slice(0, bytes / instances),
      );
      const meta = Object.fromEntries(Array.from({ length: metas }, (_, at) => [`m${at}`, text.repeat(100)]));
      return Array.from({ length: instances }, (_, at) => ({
        name: 'fat',
        id: `fat-${at}`,
        address,
        port: 1,
        tags,
        meta,
      }));
    });

test('registrations of any size that Consul takes end nothing, and status and memory stay bounded', async () => {
  const port = await freePort();
  await using backends = await startBackends(['alpha', 'beta']);
  const good = (name: 'alpha' | 'beta') => consul.register({ name: 'good', id: 'good', port: backends[name].port });
  await good('alpha');
  await using place = await workplace(
    [
      `watchers: { consul: { address: "${consul.address}" } }`,
      `services: { good: { bind: "127.0.0.1:${port}" }, fat: {} }`,
      'allowAddresses: [127.0.0.1]',
      'haproxy: { log: none }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  let name: 'alpha' | 'beta' = 'alpha';
  // The one that ended every Myelin, and what else there may be.
  const ended = { name: 'fat', id: 'fat-0', address: '192.0.2.1', port: 1, tags: Array<string>(130_000).fill('\n') };
  await fc.assert(
    fc.asyncProperty(fat(640_000), async (registrations) => {
      for (const registration of registrations)
        await consul.register(registration).catch((error: unknown) => assert.match(String(error), /HTTP [45]\d\d/));
      name = name === 'alpha' ? 'beta' : 'alpha';
      await good(name);
      await servedBy(port, name);
      const status = JSON.stringify(await place.status());
      assert.ok(status.length < 200_000, `a status of ${status.length} bytes`);
      assert.ok((await residentMb(myelin.pid)) < 500, `${await residentMb(myelin.pid)} MB`);
    }),
    { numRuns: 12, examples: [[[ended]]], endOnFailure: true },
  );
});

async function residentMb(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

/** A server at each of the addresses, which answers with its address. */
async function listening(
  entries: readonly { readonly address: string; readonly port: number }[],
): Promise<AsyncDisposable & { readonly port: number }> {
  const servers: Server[] = [];
  for (const { address, port } of entries) {
    const server = createServer((_, response) => response.end(address));
    server.listen(port, address);
    await once(server, 'listening');
    servers.push(server);
  }
  return {
    port: entries[0]?.port ?? 0,
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

type Answer = { readonly body: string; readonly headers: ReadonlyMap<string, string[]> };

/** Each header with all its values, read as UTF-8. */
function ask(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent: false, maxHeaderSize: 1024 * 1024 }, (response) => {
      const headers = new Map<string, string[]>();
      for (let at = 0; at < response.rawHeaders.length; at += 2) {
        const name = response.rawHeaders[at]?.toLowerCase() ?? '';
        const value = Buffer.from(response.rawHeaders[at + 1] ?? '', 'latin1').toString('utf8');
        headers.set(name, [...(headers.get(name) ?? []), value]);
      }
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', reject).on('end', () => resolve({ body, headers }));
    }).on('error', reject);
  });
}
