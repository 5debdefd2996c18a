import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { adminRoutes } from '../../src/http/admin.ts';
import { eventsRoute, historyRoute } from '../../src/http/event-stream.ts';
import { pageRoutes } from '../../src/http/page.ts';
import { Heartbeat, probeRoutes } from '../../src/http/probes.ts';
import { Events } from '../../src/report/events.ts';
import { messages } from '../../src/report/messages.ts';
import { stateReasons, states } from '../../src/report/state.ts';
import type { Status } from '../../src/report/status.ts';
import { sampleEvents } from '../support/values/events.ts';
import { metricsOf } from '../support/values/metrics.ts';
import { sampleStatus } from '../support/values/status.ts';

const page = await readFile(new URL('../../docs/reference/http.md', import.meta.url), 'utf8');
const status = (): Status => sampleStatus;

/** The first cells of the rows of the table under `heading`. */
function rows(heading: string, pattern: RegExp): string[] {
  const [, section = ''] = page.split(`## ${heading}\n`);
  return [...(section.split('\n## ')[0] ?? '').matchAll(pattern)].map(([, ...cells]) => cells.join(' '));
}

test('the reference lists every request that is answered, and no other', () => {
  const heartbeat = new Heartbeat(1, () => 0);
  const probes = probeRoutes({ plainStatus: status, heartbeat, metrics: metricsOf(status) });
  const events = new Events({ now: () => 0, masked: (value) => value });
  const history = { loaded: Promise.resolve(), list: () => [] };
  const happened = [eventsRoute({ events, history, onReaderLost() {} }), historyRoute({ history })];
  const admin = adminRoutes({
    status,
    service: async () => null,
    servers: async () => [],
    why: async (about) => ({ about, serves: true, steps: [] }),
    routes: () => [],
    plans: async () => [],
    config: () => ({}),
    reload: async () => ({}),
    accept: () => [],
    override: async () => {},
    stop: async () => null,
  });
  const answered = [...pageRoutes(), ...probes, ...admin, ...happened].map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(rows('Requests', /^\| (GET|POST)\s*\| `(\S+)`/gm), answered);
});

test('the reference explains every state of Myelin, and every reason for one', () => {
  assert.deepEqual(rows('States', /^\| `(\w+)`/gm), [...states, ...Object.keys(stateReasons)]);
});

test('the reference explains every field of the status', () => {
  assert.deepEqual(rows('Status', /^\| `(\w+)`/gm), Object.keys(sampleStatus));
  const [, section = ''] = page.split('## Status\n');
  const { haproxy, lastApply, sources, services } = sampleStatus;
  for (const part of [haproxy, lastApply, sources[0], services[0]])
    for (const field of Object.keys(part ?? {})) assert.match(section, new RegExp(`\`${field}\``), field);
});

test('the reference lists every event with all of its fields and its name before, and no other', () => {
  const documented = rows('Events', /^\| `(\w+)` (\| .*?)\| (.*?)\|$/gm).map((row) =>
    row
      .replaceAll(/\(.*?\)|`|,/g, '')
      .trim()
      .split(/\s+/),
  );
  const told = sampleEvents.map(({ id: _, at: __, kind, ...fields }) => {
    const before = messages[kind].formerly?.kind;
    return [kind, '|', ...(before === undefined ? [] : [before]), ...Object.keys(fields)];
  });
  assert.deepEqual(documented, told);
});
