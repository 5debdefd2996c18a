/** What the tags of a service that was made for fabio mean. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withDiscovered } from '../../../../src/config/discover/discovered.ts';
import { readFabioTags } from '../../../../watchers/consul/catalog/fabio.ts';
import { discoveredAs } from '../../../../watchers/consul/catalog/own-options.ts';
import { load } from '../../../support/values/config.ts';

const options = (...tags: readonly string[]): readonly string[] =>
  readFabioTags(tags).options.map(({ option, value }) => `${option}=${value}`);
const leftOut = (...tags: readonly string[]): readonly string[] =>
  readFabioTags(tags).leftOut.map(({ reason }) => reason);

const config = `
watchers: { consul: {} }
frontends:
  public: { bind: "127.0.0.1:8080" }
  passthrough: { mode: tcp, bind: "127.0.0.1:8443" }
  pool: { mode: tcp, bind: "127.0.0.1:10000-10009" }
discover: { consul: { routes: fabio, hosts: ["*"], ports: 10000-10009 } }
`;

/** The keys of the routes that a service with these tags has, or why it is left out. */
async function routes(...tags: readonly string[]): Promise<readonly string[] | string> {
  const { config: loaded } = await load(config);
  const [discovery] = loaded.discoveries;
  assert.ok(discovery);
  const service = discoveredAs(
    { name: 'web', createIndex: 1, tags, meta: {} },
    { meta: {}, routes: 'fabio' },
    undefined,
  );
  const { config: all, rejected } = withDiscovered(loaded, [{ discovery, service }]);
  return rejected[0]?.reason ?? all.services.get('web')?.routes.map(({ line }) => line.trim()) ?? [];
}

test('tags of fabio are routes by host and path, by the name in the TLS hello, or by port', async () => {
  assert.deepEqual(await routes('urlprefix-shop.example.com/', 'urlprefix-/css', 'urlprefix-i.com/static/', 'blue'), [
    'shop.example.com/ web',
    '*/css/ web',
    'i.com/static/ web',
  ]);
  assert.deepEqual(await routes('urlprefix-:10005 proto=tcp'), ['10005 web']);
  assert.deepEqual(await routes('urlprefix-mail.example.com/ proto=tcp+sni'), ['mail.example.com web']);
  assert.deepEqual(options('urlprefix-:10005 proto=tcp pxyproto=true'), [
    'routes=:10005',
    'mode=tcp',
    'proxy-protocol=v1',
  ]);
});

test('what is stripped and put before the path of a route is what a service behind fabio got', async () => {
  assert.deepEqual(
    await routes(
      'urlprefix-/a/b strip=/a/b',
      'urlprefix-/c/d strip=/c',
      'urlprefix-/e prepend=/v1',
      'urlprefix-/f strip=/f prepend=/v2',
      'urlprefix-g.com/ prepend=/v3/',
    ),
    ['*/a/b/ web|2|', '*/c/d/ web|2|/d', '*/e/ web|1|/v1/e', '*/f/ web|1|/v2', 'g.com/ web|0|/v3'],
  );
  assert.deepEqual(leftOut('urlprefix-/foobar strip=/foo'), [
    '"urlprefix-/foobar strip=/foo": no route: it does not begin with what is stripped',
  ]);
});

test('a route of fabio with an option that means nothing here is left out, and named; weight and register only are named', () => {
  const none = [
    'allow=ip:10.0.0.0/8',
    'deny=ip:10.0.0.0/8',
    'auth=mine',
    'redirect=301,https://x',
    'host=dst',
    'proto=https',
  ];
  for (const option of none) {
    const tag = `urlprefix-a.com/ ${option}`;
    assert.deepEqual(options(tag, 'urlprefix-/b'), ['routes=/b'], option);
    assert.match(
      leftOut(tag, 'urlprefix-/b').join(),
      new RegExp(`^"urlprefix-a\\.com/ .*": no route: ${option.split('=')[0]}\\S* `),
    );
  }
  assert.deepEqual(options('urlprefix-/b weight=0.5 register=x'), ['routes=/b']);
  assert.deepEqual(leftOut('urlprefix-/b weight=0.5 register=x'), [
    '"urlprefix-/b weight=0.5 register=x": without weight',
    '"urlprefix-/b weight=0.5 register=x": without register',
  ]);
  for (const tag of [
    'urlprefix-a.com:80/',
    'urlprefix-a.com',
    'urlprefix-:80',
    'urlprefix-/a,b',
    'urlprefix-a.com/x proto=tcp',
  ])
    assert.deepEqual([options(tag), leftOut(tag).length], [[], 1], tag);
});

test('a route of fabio that the limits do not allow leaves out its service, as any other does', async () => {
  assert.match(String(await routes('urlprefix-:80 proto=tcp')), /^routes: port 80 is not allowed; .*discover\.ports/);
  assert.match(String(await routes('urlprefix-*a.com/')), /^routes: .*is no host/);
});

test('whatever stands in a tag of fabio, it is one route at most', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 60 }), (text) => {
      const routes = readFabioTags([`urlprefix-${text}`]).options.filter(({ option }) => option === 'routes');
      assert.ok(routes.length <= 1 && routes.every(({ value }) => !value.includes(',')));
    }),
  );
});
