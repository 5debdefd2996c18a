import assert from 'node:assert/strict';
import test from 'node:test';
import { maskConfig, maskSecrets, maskText, maskWithin } from '../../../src/config/read/mask.ts';
import { load } from '../../support/values/config.ts';

test('the config is shown without the values of its secret fields', async () => {
  const { config } = await load('watchers: { consul: { token: abc, datacenter: dc1 } }\nservices: { web: {} }');
  const shown = JSON.stringify(maskConfig(config));
  assert.match(shown, /"token":"\*\*\*"/);
  assert.match(shown, /"datacenter":"dc1"/);
  assert.match(shown, /"web":\{/);
  assert.doesNotMatch(shown, /abc/);
});

test('secrets are the secret fields, what comes from files, and variables with the name of a secret', async () => {
  const { secrets } = await load(
    {
      'myelin.yaml': `
watchers: { consul: { token: "\${TOKEN}", datacenter: "\${DC}" } }
services: { web: { backend: ["http-request set-header X-Key \${API_KEY}", "# \${file:a} \${file:b} \${DB_PASSWORD}"] } }
`,
      a: 'from-a-file\n',
      b: 'abc',
    },
    { TOKEN: 'token-token', DC: 'plain', API_KEY: 'key-of-api', DB_PASSWORD: 'pw!' },
  );
  assert.deepEqual(secrets.toSorted(), ['from-a-file', 'key-of-api', 'token-token']);
});

test('passwords that stand in lines for HAProxy are shown neither with the config nor with what is made of it', async () => {
  const lines = ['stats auth admin:literalpw99', 'user bob insecure-password "plain-pw"', 'user eve password $6$hash'];
  const { config } = await load(`watchers: { consul: {} }
services: { web: { frontend: [${JSON.stringify(lines[0])}] } }
haproxy: { sections: [${JSON.stringify(`userlist people\n    ${lines[1]}\n    ${lines[2]}\n`)}] }`);
  const shown = JSON.stringify(maskConfig(config));
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

test('secrets are masked within plain data, also where a text quotes them', () => {
  const value = { a: ['x hunter2', { 'key hunter2': null }], b: 'in JSON: "p\\"q!"', c: 1234, d: 12345 };
  assert.deepEqual(maskWithin(value, ['hunter2', 'p"q!', '1234']), {
    a: ['x ***', { 'key ***': null }],
    b: 'in JSON: "***"',
    c: '***',
    d: 12345,
  });
});
