import assert from 'node:assert/strict';
import test from 'node:test';
import { originOf } from '../../../src/config/validate/written.ts';
import { load } from '../../support/values/config.ts';

const config = `watchers: { consul: {} }
services:
  web:
    bind: 127.0.0.1:80 alpn h2
    backend:
      - http-reuse safe
      - http-request set-header x-key \${file:key}
    server: { options: weight 1 }
  api:
    backend: [http-reuse safe]
haproxy:
  global: [maxconn 10]
  sections:
    - |
      userlist people
          user bob password x
`;

async function at(line: string, service: string | null): Promise<string | null> {
  const { written } = await load({ 'myelin.yaml': config, key: 's3cret' });
  const origin = originOf(line, service, written);
  return origin === null ? null : `${origin.path} ${origin.place.replace('/etc/myelin/', '')}`;
}

test('a line of HAProxy’s file leads to the key and the line of the config that it comes from', async () => {
  assert.equal(await at('    http-reuse safe', 'web'), 'services.web.backend[0] myelin.yaml:6:9');
  assert.equal(await at('    http-reuse safe', 'api'), 'services.api.backend[0] myelin.yaml:10:15');
  assert.equal(await at('    http-request set-header x-key s3cret', 'web'), 'services.web.backend[1] myelin.yaml:7:9');
  assert.equal(await at('    bind 127.0.0.1:80 alpn h2', 'web'), 'services.web.bind myelin.yaml:4:11');
  assert.equal(
    await at('    default-server check inter 2s weight 1', 'web'),
    'services.web.server.options myelin.yaml:8:24',
  );
  assert.equal(await at('    maxconn 10', null), 'haproxy.global[0] myelin.yaml:12:12');
  assert.equal(await at('    user bob password ***', null), 'haproxy.sections[0] myelin.yaml:14:7');
});

test('a line of a built-in template has no place in the config', async () => {
  assert.equal(await at('    timeout connect 5s', 'web'), null);
});
