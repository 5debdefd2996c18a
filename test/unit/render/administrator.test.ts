/** What `haproxy.defaults` says goes before what the templates would say in each service. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inheritedFrom } from '../../../src/render/administrator.ts';
import { configOf, render, rendererWith } from '../../support/values/render.ts';

async function rendered(defaults: readonly string[], web: Record<string, unknown> = {}): Promise<string> {
  const services = { web: { bind: ':8080', ...web }, tcp: { bind: ':8081', mode: 'tcp' } };
  const { sections } = render(await rendererWith(), configOf({ services, haproxy: { log: 'stdout', defaults } }));
  return sections.map(({ text }) => text).join('');
}

test('a log format, a balance algorithm, retries and the pace of checks in `haproxy.defaults` are those of each service', async () => {
  const lines = ['log-format "%ci"', 'balance leastconn', 'retry-on 503', 'default-server inter 10s fall 5 rise 4'];
  const text = await rendered(lines);
  assert.doesNotMatch(text, /option httplog|option tcplog|retry-on conn-failure|disable-l7-retry|balance roundrobin/);
  assert.equal(text.match(/^ {4}balance leastconn$/gm)?.length, 3);
  assert.equal(text.match(/^ {4}default-server check inter 10s fall 5 rise 4$/gm)?.length, 2);
  assert.equal(text.match(/^ {4}http-request return status 508 /gm)?.length, 1, 'rounds are counted all the same');
});

test('what a service says itself goes before `haproxy.defaults`', async () => {
  const text = await rendered(['balance leastconn', 'default-server inter 10s'], {
    balance: 'roundrobin',
    check: { interval: '1s' },
  });
  assert.match(
    text,
    /backend web\n(?: {4}.*\n)*? {4}balance roundrobin\n(?: {4}.*\n)*? {4}default-server check inter 1s /,
  );
  assert.match(
    text,
    /backend tcp\n(?: {4}.*\n)*? {4}balance leastconn\n(?: {4}.*\n)*? {4}default-server check inter 10s /,
  );
});

test('where `haproxy.defaults` says nothing of these, the templates do', () => {
  const { hasLogFormat, ...rest } = inheritedFrom([
    'timeout server 5s',
    'default-server slowstart 5s',
    'option dontlog-normal',
  ]);
  assert.deepEqual(rest, { balance: null, inter: null, rise: null, fall: null, hasRetryOn: false });
  assert.equal(hasLogFormat('http'), false);
  const forHttp = inheritedFrom(['option httplog clf']);
  assert.deepEqual([forHttp.hasLogFormat('http'), forHttp.hasLogFormat('tcp')], [true, false]);
});
