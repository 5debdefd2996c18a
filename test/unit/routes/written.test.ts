import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveRoute } from '../../../src/routes/resolve.ts';
import type { SharedFrontend } from '../../../src/routes/route.ts';
import { readParts, readRoute } from '../../../src/routes/written.ts';

const all: readonly SharedFrontend[] = [
  { name: 'public', kind: 'http', ports: [] },
  { name: 'tls', kind: 'sni', ports: [] },
  { name: 'pool', kind: 'port', ports: [{ first: 10_000, last: 10_999 }] },
];
const frontends = new Map(all.map((one) => [one.name, one]));

/** The line of the map, or what is wrong. */
function line(
  text: string,
  mode: 'http' | 'tcp' = 'http',
  some: ReadonlyMap<string, SharedFrontend> = frontends,
): string {
  const written = readRoute(text);
  const route = written.kind === 'read' ? resolveRoute(written.value, { name: 'web', mode }, some) : written;
  return route.kind === 'read' ? `${route.value.frontend}: ${route.value.line.trimEnd()}` : route.reason;
}

test('a route is one line of the map of its frontend, with a key that ends where an element of a path does', () => {
  assert.deepEqual(
    [
      'shop.example.com',
      'Shop.Example.COM/',
      'shop.example.com/api',
      'shop.example.com/api/',
      '*.example.com/api/v2',
      '/health',
      '/',
      'shop.example.com/api strip',
      '/api/v1 to=/v2',
      'shop.example.com to=/shop',
      '/a/b to=/',
      'localhost/x   frontend=public',
    ].map((text) => line(text)),
    [
      'public: shop.example.com/ web',
      'public: shop.example.com/ web',
      'public: shop.example.com/api/ web',
      'public: shop.example.com/api/ web',
      'public: *.example.com/api/v2/ web',
      'public: */health/ web',
      'public: */ web',
      'public: shop.example.com/api/ web|1|',
      'public: */api/v1/ web|2|/v2',
      'public: shop.example.com/ web|0|/shop',
      'public: */a/b/ web|2|',
      'public: localhost/x/ web',
    ],
  );
  assert.deepEqual(
    ['mail.example.com', '*.Example.com frontend=tls', ':10005'].map((text) => line(text, 'tcp')),
    ['tls: mail.example.com web', 'tls: *.example.com web', 'pool: 10005 web'],
  );
});

test('the parts of a route by name are the same route as its text', () => {
  const pairs = [
    ['admin.example.com/ frontend=public', { frontend: 'public', host: 'admin.example.com', path: '/' }],
    ['/api strip', { path: '/api', strip: true }],
    ['x.example.com/a to=/b', { host: 'x.example.com', path: '/a', to: '/b' }],
    [':10005', { port: 10_005 }],
  ] as const;
  for (const [text, parts] of pairs) assert.deepEqual(readParts(parts), readRoute(text), text);
  assert.equal(readParts({ sni: 'mail.example.com' }).kind, 'read');
});

test('a route that is wrong says what is, and what would be right', () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    '': /^is empty; expected HOST/,
    '*': /write the path alone/,
    '*/x': /write the path alone/,
    'shop.example.com:8080/x': /has a port: write it without/,
    'shop.example.com.': /ends with a dot: write it without/,
    'a.*.example.com': /may stand for its first label alone/,
    '*x.example.com': /may stand for its first label alone/,
    '-a.example.com': /is no host/,
    'shop..example.com': /is no host/,
    [`${'x'.repeat(64)}.example.com`]: /is no host/,
    [`${'x.'.repeat(130)}com`]: /longer than 253 characters/,
    'a.example.com//x': /empty element/,
    '/x/../y': /element \. or \.\./,
    '/%2E%2e/y': /element \. or \.\./,
    '/x?y=1': /holds \? or #/,
    '/x#y': /holds \? or #/,
    '/x|y': /holds what a path cannot hold/,
    '/x"y': /holds what a path cannot hold/,
    "/x'y": /holds what a path cannot hold/,
    '/x\\y': /holds what a path cannot hold/,
    '/x;y': /holds what a path cannot hold/,
    '/ü': /holds what a path cannot hold/,
    '/x%zz': /without two hexadecimal digits/,
    [`/${'x'.repeat(1024)}`]: /longer than 1024 bytes/,
    'müller.example.com': /"m\\u00fcller.example.com" has letters of other alphabets: write it as punycode/,
    'http://shop.example.com/': /is a URL: write the host and the path of it alone/,
    '2001:db8::1': /"2001:db8::1" is no host/,
    'a.example.com\n/evil': /line break or another control character/,
    'a.example.com\0': /control character/,
    'a.example.com /evil': /"\/evil" is no option of a route; allowed: strip/,
    'a.example.com strip': /this route has none/,
    'a.example.com/x strip to=/y': /write one of them/,
    '/x to=y': /does not start with \//,
    '/x to=/a to=/b': /written twice/,
    ':0': /is no port/,
    ':65536': /is no port/,
    ':80x': /is no port/,
    ':10000 strip': /path of an HTTP request/,
    '/1/2/3/4/5/6/7/8/9 strip': /8 elements of a path at most, and this one has 9/,
    '/x frontend=publik': /there is no shared frontend "publik"; there are public, tls, pool; did you mean "public"\?/,
    '/x frontend=tls': /does not fit frontend tls, which has routes by sni/,
    [`/${'x '.repeat(1100)}`]: /2048 characters long at most/,
  };
  for (const [text, reason] of Object.entries(wrong)) assert.match(line(text), reason, JSON.stringify(text));
  assert.match(line(':9999', 'tcp'), /port 9999 is none of frontend pool, which has 10000 to 10999/);
  assert.match(line('/x', 'tcp'), /a service of mode http, and this one is of mode tcp/);
  assert.match(line(':10000'), /a service of mode tcp, and this one is of mode http/);
  assert.match(line('/x', 'http', new Map()), /no frontend under `frontends` has routes by host and path/);
  const two = new Map([...frontends, ['other', { name: 'other', kind: 'http', ports: [] }]] as const);
  assert.match(line('/x', 'http', two), /several frontends have .*: public, other; name one/);
  assert.match(line('/x frontend=other', 'http', two), /^other: /);
});
