import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { formatStatus } from '../../../src/commands/text/status-text.ts';
import type { Status } from '../../../src/report/status.ts';
import { sampleStatus } from '../../support/values/status.ts';

const minute = 60_000;
const now = sampleStatus.startedAt + 10 * minute;

test('the status says what is amiss, why, and since when', () => {
  const text = stripVTControlCharacters(formatStatus(sampleStatus, now));
  for (const line of [
    /^ {2}myelin +1\.2\.3, degraded, for 10m$/m,
    /^ {2}because +a source is down\n {14}a service is quarantined$/m,
    /^ {2}HAProxy +2\.6\.12, pid 42, for 9m, 1 old process finishes its connections$/m,
    /^ {2}last apply +reload 9m ago: a `bind` line changed \(bind_changed\)$/m,
    /^ {2}config +refused 9m ago: myelin\.yaml:3:5: unknown key$/m,
    /^ {2}cluster +down for 9m: connect ECONNREFUSED$/m,
    /^ {2}web +2 ready, 1 draining, 1 refused\n +endpoint "web-9" is left out: .*\n +HAProxy: 1 up, 1 down, 1 draining\n +web\/web-1 \(10\.0\.0\.1:80\) is down for 9m: L4CON, Layer4 connection problem: Connection refused$/m,
    /^ {2}db +1 kept$/m,
    /^outputs\n {2}hosts +\/etc\/hosts\.d\/myelin is current, written 9m ago$/m,
    /^ {2}nginx +\/etc\/nginx\/upstreams\.conf failed for \d+m \(check\): nginx -t: exit status 1$/m,
    /^certificates\n {2}public\/shop +shop\.example\.com, for another \d+d, for all other names$/m,
    /^ {2}public\/blog +left out: \/etc\/certs\/blog\.pem: it is empty$/m,
    /^ {2}CA public +\/etc\/ca\.pem: CN=Shop CA, for another \d+d$/m,
    /^left out\n {2}shop:web +discovered by cluster: mode: "udp" is not allowed; allowed: http, tcp$/m,
  ])
    assert.match(text, line);
});

test('of endpoints that are kept the status says for how long, and which key decides it', () => {
  const [, db] = sampleStatus.services;
  const kept = (until: number | null, reason: 'emptied' | 'shrunk' = 'emptied'): string => {
    const service = { ...db, stale: null, quarantined: null, kept: { reason, since: now - 2000, until } };
    const status: Status = {
      ...sampleStatus,
      sources: [],
      services: [service],
      outputs: [],
      unserved: [],
      frontends: [],
      certificates: [],
      caFiles: [],
      routesLeftOut: [],
    };
    return formatStatus(status, now).trimEnd().split('\n').at(-1)?.trim() ?? '';
  };
  assert.equal(
    kept(now + 9 * minute),
    'loss of all endpoints 2s ago, retaining the last ones for another 9m (onEmpty); `myelin accept db` lets them go',
  );
  assert.match(kept(null), /^loss of all endpoints 2s ago, retaining the last ones \(onEmpty\);/);
  assert.equal(
    kept(now + 50_000, 'shrunk'),
    'large loss of endpoints 2s ago, retaining 1 for another 50s (maxShrink); `myelin accept db` lets them go',
  );
});

test('the name of a service that is left out forges no line', () => {
  const unserved = [{ watcher: 'consul', service: 'x\nservices\n  web  2 ready', reason: 'no\nservices' }];
  const text = stripVTControlCharacters(formatStatus({ ...sampleStatus, unserved }, now));
  assert.equal(text.match(/^services$/gm)?.length, 1);
  assert.match(text, /x\\u000aservices/);
});
