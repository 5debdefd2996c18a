import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectionOf, readTls } from '../../../../watchers/consul/agent/connection.ts';
import { consulSettings } from '../../../../watchers/consul/settings.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';
import { tempFolder } from '../../../support/index.ts';

function connect(settings: object, env: NodeJS.ProcessEnv = {}) {
  return connectionOf(withCommon(consulSettings).parse({ ...settings }), env);
}

test('without settings and variables the agent is the one on this machine', () => {
  assert.deepEqual(connect({}), {
    name: 'http://127.0.0.1:8500',
    url: 'http://127.0.0.1:8500',
    tls: { verify: true },
  });
});

test('an address is HOST:PORT, http://, https:// with a path, or unix://', () => {
  assert.equal(connect({ address: 'consul.example:8500' }).url, 'http://consul.example:8500');
  assert.equal(connect({ address: 'https://consul.example/consul/' }).url, 'https://consul.example/consul');
  assert.equal(connect({ address: 'http://[::1]:8500' }).url, 'http://[::1]:8500');
  assert.deepEqual(connect({ address: 'unix:///run/consul.sock' }), {
    name: 'unix:///run/consul.sock',
    url: 'http://localhost',
    socketPath: '/run/consul.sock',
    tls: { verify: true },
  });
});

test('what the settings leave open is taken from the variables of the consul command line', () => {
  assert.deepEqual(
    connect(
      {},
      {
        CONSUL_HTTP_ADDR: 'consul.example:8501',
        CONSUL_HTTP_SSL: 'true',
        CONSUL_HTTP_SSL_VERIFY: 'false',
        CONSUL_HTTP_AUTH: 'ann:secret',
        CONSUL_HTTP_TOKEN: 'of-env',
        CONSUL_CACERT: '/ca.pem',
        CONSUL_CLIENT_CERT: '/cert.pem',
        CONSUL_CLIENT_KEY: '/key.pem',
        CONSUL_TLS_SERVER_NAME: 'server.dc1.consul',
      },
    ),
    {
      name: 'https://consul.example:8501',
      url: 'https://consul.example:8501',
      basicAuth: 'ann:secret',
      token: 'of-env',
      tls: {
        verify: false,
        caFile: '/ca.pem',
        certFile: '/cert.pem',
        keyFile: '/key.pem',
        serverName: 'server.dc1.consul',
      },
    },
  );
  assert.equal(connect({}, { CONSUL_CAPATH: '/cas' }).tls.caPath, '/cas');
  assert.equal(connect({}, { CONSUL_HTTP_TOKEN_FILE: '/token', CONSUL_HTTP_TOKEN: 'x' }).tokenFile, '/token');
});

test('settings go before variables', () => {
  const env = {
    CONSUL_HTTP_ADDR: 'http://elsewhere:1',
    CONSUL_HTTP_SSL: '1',
    CONSUL_HTTP_SSL_VERIFY: 'false',
    CONSUL_HTTP_TOKEN: 'of-env',
    CONSUL_HTTP_TOKEN_FILE: '/of-env',
    CONSUL_CACERT: '/of-env.pem',
    CONSUL_CAPATH: '/of-env',
  };
  const connection = connect(
    { address: 'http://here:2', token: 'ours', tls: { verify: true, caFile: '/ours.pem' } },
    env,
  );
  assert.deepEqual(connection, {
    name: 'http://here:2',
    url: 'http://here:2',
    token: 'ours',
    tls: { verify: true, caFile: '/ours.pem' },
  });
});

test('CONSUL_HTTP_SSL turns the scheme of CONSUL_HTTP_ADDR into https, as it does for the consul command line', () => {
  assert.equal(connect({}, { CONSUL_HTTP_ADDR: 'http://a:1', CONSUL_HTTP_SSL: 'true' }).url, 'https://a:1');
});

test('an empty variable counts as unset, a misspelt one is refused by name', () => {
  assert.equal(connect({}, { CONSUL_HTTP_ADDR: '', CONSUL_HTTP_SSL: '' }).url, 'http://127.0.0.1:8500');
  assert.throws(() => connect({}, { CONSUL_HTTP_SSL: 'maybe' }), /CONSUL_HTTP_SSL="maybe" is neither true nor false/);
  assert.throws(() => connect({}, { CONSUL_HTTP_ADDR: 'ftp://a' }), /"ftp:\/\/a" is no address of a Consul agent/);
});

test('in CONSUL_CAPATH folders beside the certificates are passed over', async () => {
  await using folder = await tempFolder();
  await mkdir(join(folder.path, 'java'));
  await writeFile(join(folder.path, 'ca.pem'), 'PEM');
  const { ca } = await readTls({ caPath: folder.path, verify: true });
  assert.deepEqual(ca, [Buffer.from('PEM')]);
});

test('credentials in an address are refused without printing them', () => {
  assert.throws(
    () => connect({ address: 'http://ann:secret@a:1' }),
    (error: Error) => /"http:\/\/…@a:1" is no address/.test(error.message) && !error.message.includes('secret'),
  );
});
