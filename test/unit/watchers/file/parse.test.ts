import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../../../src/model.ts';
import { type Entry, parseServices } from '../../../../watchers/file/parse.ts';

function entries(text: string): Readonly<Record<string, Entry>> {
  const parsed = parseServices('/etc/services.yaml', text);
  assert.equal(parsed.kind, 'services', parsed.kind === 'invalid' ? parsed.reason : '');
  return parsed.kind === 'services' ? Object.fromEntries(parsed.services) : {};
}

function endpointsOf(entry: Entry | undefined): readonly Endpoint[] {
  return entry?.kind === 'list' ? entry.endpoints : [];
}

/** Of a file in which nothing is wrong. */
function parse(text: string) {
  return Object.fromEntries(
    Object.entries(entries(text)).map(([name, entry]) => {
      assert.deepEqual(faultsOf(entry), []);
      return [name, endpointsOf(entry)];
    }),
  );
}

/** What is told of it, without the file's name. */
function faultsOf(entry: Entry | undefined): readonly string[] {
  const reasons = entry?.kind === 'list' ? entry.unreadable.map(({ reason }) => reason) : [entry?.reason ?? 'no entry'];
  return reasons.map((reason) => reason.replace('/etc/services.yaml:', ''));
}

function reason(text: string): string {
  const parsed = parseServices('/etc/services.yaml', text);
  assert.equal(parsed.kind, 'invalid');
  return parsed.kind === 'invalid' ? parsed.reason : '';
}

test('an endpoint is ADDRESS:PORT or an object with address and port; its name is its address by default', () => {
  assert.deepEqual(
    parse(`
services:
  web:
    - 10.0.0.1:80
    - "[2001:db8::1]:80"
    - { address: 10.0.0.2, port: 81 }
    - { address: "2001:db8::2", port: 82, id: two, weight: 5, state: draining, tags: [a, 1], meta: { v: 2, ok: true } }
  none: []
`),
    {
      web: [
        { id: '10.0.0.1:80', address: '10.0.0.1', port: 80, weight: 1, state: 'ready', tags: [], meta: {} },
        { id: '[2001:db8::1]:80', address: '2001:db8::1', port: 80, weight: 1, state: 'ready', tags: [], meta: {} },
        { id: '10.0.0.2:81', address: '10.0.0.2', port: 81, weight: 1, state: 'ready', tags: [], meta: {} },
        {
          id: 'two',
          address: '2001:db8::2',
          port: 82,
          weight: 5,
          state: 'draining',
          tags: ['a', '1'],
          meta: { v: '2', ok: 'true' },
        },
      ],
      none: [],
    },
  );
});

test('JSON is read as well', () => {
  assert.deepEqual(Object.keys(parse('{"services": {"web": ["10.0.0.1:80"]}}')), ['web']);
});

test('one wrong entry is left out alone, told with line and column, and all others are read', () => {
  const read = entries(`
services:
  web:
    - 10.0.0.1:80
    - 10.0.0.2:http
    - { address: 10.0.0.3, port: 0 }
    - { address: 10.0.0.4, port: abc }
    - { address: 10.0.0.5, port: 80, weight: 257 }
    - { address: 10.0.0.6, port: 80, wait: 2 }
    - { address: 10.0.0.7, port: 80, id: "" }
    - { address: 10.0.0.8, port: 80, port: 81 }
    - { address: 10.0.0.9, port: 80, meta: { zone: [] } }
    - 7
  db: [10.0.1.1:80]
`);
  assert.deepEqual(
    endpointsOf(read.web).map(({ id }) => id),
    ['10.0.0.1:80'],
  );
  assert.deepEqual(faultsOf(read.web), [
    '5:7: services.web[1]: expected ADDRESS:PORT or { address, port, … }',
    '6:34: services.web[2].port: expected a port, a whole number from 1 to 65535',
    '7:34: services.web[3].port: expected a port, a whole number from 1 to 65535',
    '8:46: services.web[4].weight: expected a weight, a whole number from 0 to 256',
    '9:7: services.web[5]: unknown key "wait"; allowed: address, port, id, weight, state, tags, meta',
    '10:42: services.web[6].id: expected a name in quotes',
    '11:34: services.web[7].port: stands twice: keep one of them',
    '12:52: services.web[8].meta.zone: expected a word',
    '13:7: services.web[9]: expected ADDRESS:PORT or { address, port, … }',
  ]);
  assert.deepEqual(read.web?.kind === 'list' && read.web.unreadable.map(({ id }) => id).slice(0, 2), [
    '10.0.0.2:http',
    '10.0.0.3',
  ]);
  assert.deepEqual(faultsOf(read.db), []);
});

test('of many wrong entries some are told, and how many more there are', () => {
  const read = entries(`services: { web: [10.0.0.1:80${', x'.repeat(1000)}] }`);
  assert.equal(faultsOf(read.web).length, 21);
  assert.equal(faultsOf(read.web)[20], '980 more entries are left out');
});

test('a service of which nothing can be read names nobody, which is another thing than []', () => {
  const read = entries('services:\n  web: [x, y]\n  db:\n  cache: 5\n  queue: {}\n  none: []\n');
  assert.deepEqual(faultsOf(read.web), ['2:9: services.web[0]: expected ADDRESS:PORT or { address, port, … }']);
  const noList = 'expected a list of endpoints; [] where there is none';
  assert.deepEqual(faultsOf(read.db)[0]?.replace(/^\d+:\d+: /, ''), `services.db: ${noList}`);
  assert.deepEqual(faultsOf(read.cache), [`4:10: services.cache: ${noList}`]);
  assert.deepEqual(faultsOf(read.queue), [`5:10: services.queue.endpoints: ${noList}`]);
  assert.deepEqual(
    Object.values(read).map(({ kind }) => kind),
    ['unreadable', 'unreadable', 'unreadable', 'unreadable', 'list'],
  );
});

test('of a service that stands twice in a file the first counts, and the second is told', () => {
  const read = entries('services:\n  a: [10.0.0.1:80]\n  b: []\n  a: [10.0.0.2:80]\n');
  assert.deepEqual(
    endpointsOf(read.a).map(({ id }) => id),
    ['10.0.0.1:80'],
  );
  assert.deepEqual(faultsOf(read.a), [
    '4:3: services.a stands twice in this file, first at /etc/services.yaml:2:3: the first counts',
  ]);
});

test('aliases and names of every kind are read as YAML means them', () => {
  const names = ['__proto__', 'constructor', '1', 'true', 'a b'];
  const read = parse(`services:\n${names.map((name) => `  ${name}: [10.0.0.1:80]\n`).join('')}`);
  assert.deepEqual(Object.keys(read).sort(), [...names].sort());
  assert.equal(parse('services: { a: &all [10.0.0.1:80], b: *all }').b?.length, 1);
});

test('what is no file of services is refused, with file, line and column', () => {
  assert.match(reason('services:\n  web: [\n'), /^\/etc\/services\.yaml:\d:\d+: /);
  assert.match(reason('services: {}\nservice: {}\n'), /:2:1: unknown key "service"; allowed: services$/);
  assert.match(reason('services: {}\nservices: {}\n'), /:2:1: `services` stands twice: keep one of them$/);
  assert.match(reason('[]'), /:1:1: expected `services:`$/);
  assert.match(reason('services: [web]'), /:1:11: services: expected services by name$/);
  assert.match(reason('services: {}\n---\n'), /:2:1: a second document begins here/);
  assert.match(reason('services: { a: *b }'), /:1:1: the alias \*b has no anchor &b before it$/);
});

test('what a half-written file looks like is refused', () => {
  for (const text of ['', '# soon\n', 'services:\n', 'serv', '{"services": {"web": ["10.0'])
    assert.match(reason(text), /^\/etc\/services\.yaml:\d+:\d+: /);
});

test('ten times as many services take no more than about ten times as long', () => {
  const text = (services: number): string =>
    `services:\n${Array.from({ length: services }, (_, at) => `  s${at}: [10.0.0.1:80]\n`).join('')}`;
  const cost = (services: number): number => {
    const before = process.cpuUsage();
    parseServices('f', text(services));
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const least = (services: number): number => Math.min(cost(services), cost(services));
  least(2000);
  const factor = least(20_000) / least(2000);
  assert.ok(factor < 20, `${factor.toFixed(1)} times`);
});

test('whatever a file holds, it is read or refused with a place', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'services:',
      '\n',
      '  ',
      'web:',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '&a',
      '*a',
      '<<:',
      '10.0.0.1:80',
      '"',
      '|',
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const parsed = parseServices('f', pieces.join(''));
      if (parsed.kind === 'invalid') assert.match(parsed.reason, /^f:\d+:\d+: ./s);
    }),
  );
});

test('what stands under a name that is no text, and aliases that explode, are told in words of ours', () => {
  const found = parseServices('f.yaml', 'services:\n  ? [x]\n  : ["1.2.3.4:1"]\n  web: []\n');
  assert.ok(found.kind === 'services');
  const [first] = found.services.values();
  assert.deepEqual(
    first?.kind === 'unreadable' && first.reason,
    'f.yaml:2:5: the name of a service must be plain text',
  );
  const many = (name: string): string => Array.from({ length: 10 }, () => `*${name}`).join(', ');
  const lists = ['b', 'c', 'd'].map((name, at) => `  ${name}: &${name} [${many('abc'[at] ?? '')}]`).join('\n');
  const bomb = parseServices('f.yaml', `services:\n  a: &a [x]\n${lists}\n`);
  assert.deepEqual(bomb, {
    kind: 'invalid',
    reason: 'f.yaml:1:1: aliases repeat far too many values: write fewer of them',
  });
});

test('a service in the long form has endpoints, and options that say how it is served', () => {
  const read = entries(`
services:
  web: { endpoints: ["10.0.0.1:80"], options: { routes: [a.example.com, "/b strip"], check-rise: 3, check: http } }
  db: { options: {}, endpoints: [] }
  listed: { endpoints: ["10.0.0.2:80", x] }
  short: ["10.0.0.3:80"]
`);
  assert.deepEqual(
    Object.values(read).map(({ options }) => options),
    [{ routes: 'a.example.com, /b strip', 'check-rise': '3', check: 'http' }, {}, null, null],
  );
  assert.deepEqual(
    Object.values(read).map((entry) =>
      endpointsOf(entry)
        .map(({ id }) => id)
        .join(),
    ),
    ['10.0.0.1:80', '', '10.0.0.2:80', '10.0.0.3:80'],
  );
  assert.deepEqual(faultsOf(read.listed), [
    '5:40: services.listed.endpoints[1]: expected ADDRESS:PORT or { address, port, … }',
  ]);
});

test('a service whose long form is wrong cannot be read, and alone', () => {
  const read = entries(`
services:
  a: { endpoints: [], options: 5 }
  b: { endpoints: [], options: { check: [[x]] } }
  c: { endpoints: [], options: { check: http, check: tcp } }
  d: { endpoints: [], endpoints: [] }
  e: { endpoints: [], optoins: {} }
  f: { endpoints: [], options: }
  g: { endpoints: [], options: { check: http } }
`);
  const { g, ...wrong } = read;
  assert.deepEqual(
    Object.values(wrong).map((entry) => faultsOf(entry).join()),
    [
      '3:32: services.a.options: expected options by name; {} where there is none',
      '4:41: services.b.options.check: expected a word or a list of words',
      '5:32: services.c.options.check: stands twice: keep one of them',
      '6:6: services.d.endpoints: stands twice: keep one of them',
      '7:6: services.e: unknown key "optoins"; allowed: endpoints, options',
      '8:32: services.f.options: expected options by name; {} where there is none',
    ],
  );
  assert.deepEqual([g?.kind, g?.options], ['list', { check: 'http' }]);
});
