import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Headline, headlineOf } from '../../../src/page/app/model/headline.ts';
import type { Status } from '../../../src/report/status.ts';
import { sceneNow, sceneStatus } from '../../support/values/scene.ts';

const well = sceneStatus(20, true);
const minute = 60_000;

/** With blanks of one kind, and the time of day left out, which depends on the zone. */
function headline(status: Partial<Status>, behindMs: number | null = null): Headline {
  const { tone, text } = headlineOf({ ...well, ...status }, behindMs, sceneNow);
  return { tone, text: text.replaceAll('\u00a0', ' ').replace(/\d\d:\d\d/, 'HH:MM') };
}

test('the sentence of a Myelin that is well says how far behind the sources HAProxy is', () => {
  assert.deepEqual(headline({}, 14), { tone: 'good', text: 'Serving what the sources say, 14 ms behind' });
  assert.deepEqual(headline({}), { tone: 'good', text: 'Serving what the sources say' });
});

test('the sentence of an outage says of when the state is that serves, and for how long the source is unreachable', () => {
  const sources = well.sources.map((source) => ({
    ...source,
    ...(source.name === 'consul' ? { down: { reason: 'connect ECONNREFUSED', since: sceneNow - 6 * minute } } : {}),
  }));
  assert.deepEqual(headline({ stateReasons: ['source_down'], sources }), {
    tone: 'warn',
    text: 'Serving the state of HH:MM, consul unreachable for 6 min',
  });
});

test('the sentence is about lost traffic before it is about anything else', () => {
  const { services } = sceneStatus(2000);
  const text = 'HAProxy has no server up for payments-gateway';
  assert.deepEqual(headline({ stateReasons: ['service_down'], services }), { tone: 'bad', text });
  const haproxy = well.haproxy && { ...well.haproxy, unresponsive: { reason: 'hangs', since: sceneNow - 40_000 } };
  const hangs = headline({ stateReasons: ['haproxy_unresponsive', 'service_down'], services, haproxy });
  assert.deepEqual(hangs, { tone: 'bad', text: 'HAProxy has not answered for 40 s' });
  const none = headline({ stateReasons: ['nothing_applied'], waitingFor: ['consul', 'cluster'] });
  assert.deepEqual(none, { tone: 'warn', text: 'Starting: waiting for the first answer of consul and cluster' });
});

test('the sentence names what is served otherwise than the sources say', () => {
  const services = sceneStatus(2000).services.filter(({ name }) => name === 'media-proxy');
  assert.equal(
    headline({ stateReasons: ['service_quarantined'], services }).text,
    'Serving what the sources say, except for media-proxy in quarantine',
  );
  assert.equal(headline({ stateReasons: ['config_refused'] }).text, 'Serving what the sources say, with 1 exception');
});
