/** What HAProxy would read in a line or a file; its real tokeniser is asked in test/integration/render/quoting.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { amendServers } from '../../../src/haproxy/text/servers/amend.ts';
import { bindLines, sectionKeywords, serverLines, splitSections, tokenise } from '../../../src/haproxy/text/text.ts';

const words = (line: string): readonly string[] => tokenise(line).words;

test('a line is split at blanks, and ends at a comment, a line feed, a carriage return or NUL', () => {
  assert.deepEqual(words('  server  web\t127.0.0.1:80\vcheck\fweight 1\n'), [
    'server',
    'web',
    '127.0.0.1:80',
    'check',
    'weight',
    '1',
  ]);
  assert.deepEqual(words('bind :80 # the front door'), ['bind', ':80']);
  assert.deepEqual(words('cookie a#b bogus'), ['cookie', 'a']);
  assert.deepEqual(words('a "b\rc" d'), ['a', 'b']);
  assert.deepEqual(words('a b\0c'), ['a', 'b']);
  assert.deepEqual(words('a\u00a0b'), ['a\u00a0b']);
  assert.deepEqual(words(''), []);
  assert.deepEqual(words('# nothing'), []);
});

test('quotes and escapes read as HAProxy reads them', () => {
  const cases: readonly (readonly [string, string])[] = [
    [String.raw`a\ab`, String.raw`a\ab`],
    [String.raw`"a\ab"`, String.raw`a\ab`],
    [String.raw`a\'b`, `a'b`],
    [String.raw`"a\'b"`, `a'b`],
    [String.raw`a\$b`, String.raw`a\$b`],
    [String.raw`"a\$b"`, 'a$b'],
    ['a$HOME', 'a$HOME'],
    [String.raw`'a\x20b'`, String.raw`a\x20b`],
    [String.raw`a\x20b`, 'a b'],
    [String.raw`"a\#\ b"`, 'a# b'],
    [String.raw`'a'\''b'`, "a'b"],
    ['a"b c"d', 'ab cd'],
    ["'a'#c", 'a'],
    ['a\\', 'a\\'],
    [String.raw`a\tb\nc`, 'a\tb\nc'],
  ];
  for (const [text, word] of cases) {
    const { words, isExact } = tokenise(text);
    assert.deepEqual([words, isExact], [[word], true], text);
  }
});

test('words are put behind those of a server line, before its comment', () => {
  const text = [
    'backend web',
    '    # server c 10.0.0.3:80',
    '    server a 10.0.0.1:80 weight 1',
    '    server b 10.0.0.2:80 cookie "b # c" # one more',
    '    server d 10.0.0.4:80#',
    '    http-response set-header server none',
    '',
  ].join('\n');
  const amended = amendServers(text, ({ name }) => (name === 'd' ? '' : `id ${name.charCodeAt(0)}`));
  assert.equal(
    amended,
    text.replace('weight 1', 'weight 1 id 97').replace('"b # c" # one more', '"b # c" id 98 # one more'),
  );
  assert.equal(
    amendServers(text, () => ''),
    text,
  );
});

test('a line whose meaning is not in its text alone is not exact', () => {
  for (const line of [
    'server a "$HOST:80"',
    'a "b',
    "a 'b",
    'server a 1.2.3.4:80 "" check',
    String.raw`a \xzz`,
    String.raw`a\x00b`,
  ])
    assert.equal(tokenise(line).isExact, false, line);
  assert.equal(tokenise('a \'$HOME\' "\\$HOME"').isExact, true);
});

test('a file is cut at section keywords, and comments above one belong to it', () => {
  const text = [
    '# made by hand\n',
    'global\n    maxconn 10\n',
    '\n# the shop\nfrontend web # main\n    bind :80\n    # listen to nobody else\n    default_backend web\n',
    '"backend" web\n.if defined(X)\n    server a 127.0.0.1:80\n.endif\n',
    '\tlisten db from tcp\n    bind :5432',
  ].join('');
  assert.deepEqual(
    splitSections(text, 'web').map(({ kind, name, service }) => [kind, name, service]),
    [
      ['global', '', 'web'],
      ['frontend', 'web', 'web'],
      ['backend', 'web', 'web'],
      ['listen', 'db', 'web'],
    ],
  );
  assert.match(splitSections(text)[1]?.text ?? '', /^\n# the shop\nfrontend/);
  assert.deepEqual(
    splitSections('    mode http\nbackend a\n').map(({ kind, text: own }) => [kind, own]),
    [
      ['', '    mode http\n'],
      ['backend', 'backend a\n'],
    ],
  );
  assert.deepEqual(splitSections(''), []);
});

test('sections put together again are the file, whatever it holds', () => {
  const line = fc.oneof(
    fc.constantFrom('', '# x', '  # x', 'backend', '"frontend" b', 'listen x # y', '    server a b', '.if x', '.endif'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line), fc.boolean(), (lines, ended) => {
      const text = lines.join('\n') + (ended ? '\n' : '');
      const sections = splitSections(text);
      assert.equal(sections.map((section) => section.text).join(''), text);
      for (const { kind } of sections.slice(1)) assert.ok(sectionKeywords.has(kind));
    }),
  );
});

test('server lines give name, address and port', () => {
  const [section] = splitSections(
    [
      'backend web',
      '    server a 10.0.0.1:80 check',
      '    server b [2001:db8::1]:8080',
      '    server c 2001:db8::1:8080',
      '    server d unix@/run/d.sock',
      '    server e db.example:+1000',
      '    server f "$HOST:80"',
      '    server-template t 1-3 db.example:80',
      '    default-server check',
      '    # server g 10.0.0.1:80',
      "    'server' h 10.0.0.2:80 weight 0",
      '    http-request set-header server x',
    ].join('\n'),
  );
  assert.ok(section !== undefined);
  assert.deepEqual(
    serverLines(section).map(({ name, address, port, isExact }) => [name, address, port, isExact]),
    [
      ['a', '10.0.0.1', 80, true],
      ['b', '2001:db8::1', 8080, true],
      ['c', '2001:db8::1', 8080, true],
      ['d', 'unix@/run/d.sock', null, true],
      ['e', 'db.example:+1000', null, true],
      ['f', '$HOST', 80, false],
      ['h', '10.0.0.2', 80, true],
    ],
  );
  assert.deepEqual(serverLines(section).at(-1)?.words, ['server', 'h', '10.0.0.2:80', 'weight', '0']);
  assert.deepEqual(splitSections('peers p\n    server a 10.0.0.1:80\n').flatMap(serverLines), []);
});

test('bind lines give what stands after the keyword', () => {
  const [section] = splitSections(
    'frontend web\n    bind :80,:81 # both\n\tbind /run/web.sock mode 600\r\n    default_backend web\n',
  );
  assert.ok(section !== undefined);
  assert.deepEqual(bindLines(section), [':80,:81 # both', '/run/web.sock mode 600']);
});
