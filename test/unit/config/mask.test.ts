import assert from 'node:assert/strict';
import test from 'node:test';
import { maskConfig, maskSecrets, maskText, maskWithin, withoutSecrets } from '../../../src/config/read/mask.ts';
import type { Service } from '../../../src/config/schema.ts';
import { load } from '../../support/values/config.ts';

test('the config is shown without the values of its secret fields', async () => {
  const { config } = await load(
    'watchers: { consul: { address: "http://me:pw@here:8500", token: abc, datacenter: dc1 } }\nservices: { web: {} }',
  );
  const shown = JSON.stringify(maskConfig(config, new Map()));
  assert.match(shown, /"http:\/\/me:\*\*\*@here:8500"/);
  assert.match(shown, /"token":"\*\*\*"/);
  assert.match(shown, /"datacenter":"dc1"/);
  assert.match(shown, /"web":\{/);
  assert.doesNotMatch(shown, /abc/);
});

const written = {
  'myelin.yaml': `
watchers: { consul: { token: "\${TOKEN}", datacenter: "\${DC}" } }
services:
  web:
    from: { consul: { service: web, tags: ["\${file:colour}"] } }
    bind: 127.0.0.1:80 name \${file:a}
    server: { options: "sni str(\${file:a})" }
    backend: ["http-request set-header X-Key \${API_KEY}", "# \${file:a} \${file:b} \${DB_PASSWORD} \${DC} $\${x}"]
`,
  a: 'from-a-file\n',
  b: 'abc',
  colour: 'blue',
};
const env = { TOKEN: 'token-token', DC: 'plain', API_KEY: 'http', DB_PASSWORD: 'pw!' };

test('secrets are the secret fields, variables with the name of a secret, and files within lines for HAProxy', async () => {
  const { secrets } = await load(written, env);
  assert.deepEqual(secrets.toSorted(), ['from-a-file', 'http', 'token-token']);
});

test('a secret is masked where it was put in and nowhere else, whatever word it is', async () => {
  const { config, inserted } = await load(written, env);
  const masked = withoutSecrets(config, inserted).services.get('web');
  assert.deepEqual(masked?.backend, ['http-request set-header X-Key ***', '# *** *** *** plain ${x}']);
  assert.deepEqual(masked?.bind, ['127.0.0.1:80 name ***']);
  assert.equal(masked?.server.options, 'sni str(***)');
  assert.equal(masked?.mode, 'http');
  const { watchers, services } = maskConfig(config, inserted) as unknown as Shown;
  assert.equal(watchers.consul?.token, '***');
  assert.equal(services.web?.mode, 'http');
  assert.deepEqual(services.web?.backend, masked?.backend);
  assert.deepEqual(services.web?.origins[0]?.query.tags, ['blue']);
});

type Shown = {
  readonly watchers: Readonly<Record<string, { readonly token: string }>>;
  readonly services: Readonly<Record<string, Service & { readonly origins: readonly Origin[] }>>;
};
type Origin = { readonly query: { readonly tags: readonly string[] } };

test('passwords that stand in lines for HAProxy are shown neither with the config nor with what is made of it', async () => {
  const lines = ['stats auth admin:literalpw99', 'user bob insecure-password "plain-pw"', 'user eve password $6$hash'];
  const { config } = await load(`watchers: { consul: {} }
services: { web: { frontend: [${JSON.stringify(lines[0])}] } }
haproxy: { sections: [${JSON.stringify(`userlist people\n    ${lines[1]}\n    ${lines[2]}\n`)}] }`);
  const shown = JSON.stringify(maskConfig(config, new Map()));
  for (const text of [shown, maskText(lines.join('\n'), [])]) {
    assert.doesNotMatch(text, /literalpw99|plain-pw|hash/);
    assert.match(text, /stats auth admin:\*\*\*/);
    assert.match(text, /user bob insecure-password/);
  }
  const innocent = 'http-request deny if { path /password } { hdr(x-insecure-password) -m found }';
  assert.equal(maskText(innocent, []), innocent);
});

test('secrets are masked in any text, the longest first', () => {
  assert.equal(maskSecrets('a=hunter2 b=hunter22 c=abc', ['hunter2', 'hunter22', 'abc', '']), 'a=*** b=*** c=abc');
});

test('a short secret, which may be a word, is masked where it stands alone; a long one anywhere', () => {
  const secrets = ['blue', 'long-random-secret'];
  const names = 'vm:api-blue-1 bluebird blue.example.com not_blue';
  assert.equal(maskSecrets(names, secrets), names);
  assert.equal(
    maskSecrets('blue "blue" x:blue@host x%20blue, is blue. xlong-random-secretx', secrets),
    '*** "***" x:***@host x%20***, is ***. x***x',
  );
});

test('names are never masked, whatever secret they are like', () => {
  const status = { services: [{ name: 'blue' }], orders: [{ backend: 'blue', server: 'blue' }], reason: 'said blue' };
  assert.deepEqual(maskWithin(status, ['blue']), { ...status, reason: 'said ***' });
});

test('secrets are masked within plain data, also where a text quotes them', () => {
  const value = { a: ['x hunter2', { key: 'hunter2' }], b: 'in JSON: "p\\"q!"', c: 1234, d: 12345 };
  assert.deepEqual(maskWithin(value, ['hunter2', 'p"q!', '1234']), {
    a: ['x ***', { key: '***' }],
    b: 'in JSON: "***"',
    c: '***',
    d: 12345,
  });
});
