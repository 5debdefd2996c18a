/** Where this config listens: an endpoint there would lead traffic back, or to whoever may do anything with HAProxy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownListeners } from '../../../src/config/own-listeners.ts';
import { load } from '../../support/values/config.ts';

test('every listener for TCP is known, wherever it is written and however', async () => {
  const { config } = await load({
    'myelin.yaml': `watchers: { file: { path: services.yaml } }
admin: { listen: "127.0.0.1:1" }
probes: { listen: ":2" }
haproxy:
  global: ['stats socket ipv4@*:3 level admin', 'stats  socket 10.0.0.1:4', stats socket /run/other.sock]
  stats: { bind: "*:5" }
  prometheus: { bind: "[::]:6" }
  sections:
    - |
      listen more
        bind "*:7" ssl crt "$CERTIFICATE"
        bind *:'8',:9-10
    - |
      peers all
        bind 10.0.0.1:11
services:
  web: { bind: ["*:12", "ipv6@[::1]:13", quic4@:14], frontend: ['bind :15'] }
`,
  });
  assert.deepEqual(
    ownListeners(config)
      .map(({ host, port }) => `${host ?? '*'} ${port}`)
      .sort(),
    [
      ...['* 10', '* 12', '* 15', '* 2', '* 3', '* 5', '* 6', '* 7', '* 8', '* 9'],
      ...['10.0.0.1 11', '10.0.0.1 4', '127.0.0.1 1', '::1 13'],
    ],
  );
});
