import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseServices } from '../../watchers/file/parse.ts';

function parse(text: string) {
  const parsed = parseServices('/etc/services.yaml', text);
  assert.equal(parsed.kind, 'services', parsed.kind === 'invalid' ? parsed.reason : '');
  return parsed.kind === 'services' ? Object.fromEntries(parsed.services) : {};
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

test('a fault is told with file, line and column', () => {
  assert.match(
    reason('services:\n  web:\n    - 10.0.0.1:http\n'),
    /^\/etc\/services\.yaml:3:7: services\.web\[0\]: .*ADDRESS:PORT/,
  );
  assert.match(reason('services:\n  web: [\n'), /^\/etc\/services\.yaml:\d:\d+: /);
  assert.match(reason('services:\n  web: [{ address: a, port: 1, wait: 2 }]\n'), /:2:9: .*"wait"/);
  assert.match(
    reason('services:\n  web: [{ address: a, port: 0 }]\n'),
    /:2:29: services\.web\[0\]\.port: expected a port, a whole number from 1 to 65535$/,
  );
  assert.match(reason('services: {}\nservice: {}\n'), /unknown key "service"; allowed: services$/);
  assert.match(reason('services:\n  a: []\n  a: []\n'), /:3:3: .*unique/);
});

test('what a half-written file looks like is refused: nothing, or a name without its list', () => {
  for (const text of ['', '# soon\n', 'services:\n', 'services:\n  web:\n', 'serv', '{"services": {"web": ["10.0'])
    assert.match(reason(text), /^\/etc\/services\.yaml:\d+:\d+: /);
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
