import assert from 'node:assert/strict';
import test from 'node:test';
import { type BindAddress, bindsOverlap, parseBind } from '../../../src/haproxy/text/bind.ts';

test('bind addresses are read as HAProxy reads them', () => {
  const tcp = (
    host: string | null,
    family: 4 | 6 | 'any',
    port = 80,
    portEnd = port,
  ): Extract<BindAddress, { port: number }> => ({
    kind: 'tcp',
    family,
    host,
    port,
    portEnd,
    interface: null,
    namespace: null,
    isTransparent: false,
  });
  const cases: readonly (readonly [string, ...BindAddress[]])[] = [
    ['*:80', tcp(null, 4)],
    [':80', tcp(null, 4)],
    ['0.0.0.0:80', tcp(null, 4)],
    ['0:80', tcp(null, 4)],
    ['ipv4@:80', tcp(null, 4)],
    ['stream+ipv4@*:80', tcp(null, 4)],
    [':::80', tcp(null, 'any')],
    ['[::]:80', tcp(null, 'any')],
    ['ipv6@:80', tcp(null, 'any')],
    [':::80 v4v6', tcp(null, 'any')],
    ['[::]:80 v6only ssl crt /x.pem', tcp(null, 6)],
    ['ipv6@*:80 v6only', tcp(null, 6)],
    ['[::]:80 # v6only', tcp(null, 'any')],
    ['127.0.0.1:80 ssl crt /x.pem alpn h2,http/1.1', tcp('127.0.0.1', 4)],
    ['::1:80', tcp('::1', 6)],
    ['[0:0::0:1]:80', tcp('::1', 6)],
    ['::ffff:127.0.0.1:80', tcp('127.0.0.1', 4)],
    ['fe80::1%lo:80', tcp('fe80::1%lo', 6)],
    ['localhost:80', tcp('localhost', 'any')],
    [':8000-8010', tcp(null, 4, 8000, 8010)],
    [
      '127.0.0.1:80,[::1]:81,/run/web.sock',
      tcp('127.0.0.1', 4),
      tcp('::1', 6, 81),
      { kind: 'unix', path: '/run/web.sock' },
    ],
    ['unix@/run/web.sock mode 600', { kind: 'unix', path: '/run/web.sock' }],
    ['abns@web', { kind: 'abns', name: 'web' }],
    ['fd@3', { kind: 'other', text: 'fd@3' }],
    ['"$ADDRESS:80"', { kind: 'other', text: '"$ADDRESS:80"' }],
    ['quic4@:443 ssl crt /x.pem', { ...tcp(null, 4, 443), kind: 'udp' }],
    [':80 interface eth0', { ...tcp(null, 4), interface: 'eth0' }],
    [':80 transparent', { ...tcp(null, 4), isTransparent: true }],
    [':80 namespace blue', { ...tcp(null, 4), namespace: 'blue' }],
  ];
  for (const [text, ...addresses] of cases) assert.deepEqual(parseBind(text), { addresses, problems: [] }, text);
});

test('a bind that HAProxy would refuse or misread is a problem that says what is wrong', () => {
  const cases = {
    '80': 'no port in "80"; write ADDRESS:PORT or :PORT',
    '[::1]': 'no port in "[::1]"; write ADDRESS:PORT or :PORT',
    '*:': '"" is not a port; write a number or a range such as 8000-8010',
    '*:http': '"http" is not a port; write a number or a range such as 8000-8010',
    '*:8x': '"8x" is not a port; write a number or a range such as 8000-8010',
    '*:0': 'port 0 is outside 1-65535',
    '*:80-70000': 'port 80-70000 is outside 1-65535',
    '*:90-80': 'the range of ports 90-80 ends before it begins',
    '': 'no address; write ADDRESS:PORT, :PORT or a path',
    'unix@': 'no path for the unix socket',
    [`/${'x'.repeat(97)}`]: `the path of the unix socket is 98 bytes long and HAProxy takes 97 at most: /${'x'.repeat(97)}`,
  };
  for (const [text, problem] of Object.entries(cases))
    assert.deepEqual(parseBind(text), { addresses: [], problems: [problem] }, text);
});

test('two binds overlap where the second could not be held beside the first', () => {
  const overlapping = [
    ['*:80', '127.0.0.1:80'],
    [':80', ':::80 v4v6'],
    ['0.0.0.0:80', '[::]:80'],
    ['127.0.0.1:80', '[::]:80'],
    ['[::1]:80', ':::80 v6only'],
    ['127.0.0.1:80', '[::ffff:127.0.0.1]:80'],
    [':8000-8010', '127.0.0.1:8010'],
    ['localhost:80', ':80'],
    [':80 interface eth0', ':80'],
    ['/run/a.sock', 'unix@/run/a.sock'],
    ['abns@a', 'abns@a'],
  ] as const;
  const apart = [
    ['*:80', '*:81'],
    ['127.0.0.1:80', '127.0.0.2:80'],
    ['*:80', ':::80 v6only'],
    ['[::1]:80', '127.0.0.1:80'],
    [':8000-8010', ':8011-8012'],
    [':443', 'quic4@:443'],
    [':80 interface eth0', ':80 interface eth1'],
    [':80 namespace blue', ':80'],
    ['/run/a.sock', '/run/b.sock'],
    ['fd@3', 'fd@3'],
  ] as const;
  const overlap = (a: string, b: string) =>
    parseBind(a).addresses.some((one) => parseBind(b).addresses.some((other) => bindsOverlap(one, other)));
  for (const [a, b] of overlapping) assert.deepEqual([overlap(a, b), overlap(b, a)], [true, true], `${a} and ${b}`);
  for (const [a, b] of apart) assert.deepEqual([overlap(a, b), overlap(b, a)], [false, false], `${a} and ${b}`);
});
