/** Which events are kept, and how they are said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fit, formatEvents } from '../../../src/commands/text/display.ts';
import { formatEvent } from '../../../src/http/event-stream.ts';
import { type Event, Events } from '../../../src/report/events.ts';
import { describeEvent } from '../../../src/report/text/event-text.ts';
import { sampleEvents } from '../../support/values/events.ts';

const eventsOf = (now = () => 0): Events => new Events({ now, masked: (value) => value });
const services = (events: readonly Event[]): readonly string[] =>
  events.map((event) => ('service' in event ? event.service : event.kind));

test('of what happened the last hundred are kept, in their order, and each is told once to who listens', () => {
  const events = eventsOf();
  const heard: string[] = [];
  const end = events.subscribe((event) => heard.push(event.id));
  for (let at = 1; at <= 250; at++) events.add({ kind: 'loss_ended', service: `s${at}` });
  end();
  events.add({ kind: 'loss_ended', service: 's251' });
  const kept = events.after(null);
  assert.deepEqual(
    services(kept),
    Array.from({ length: 100 }, (_, at) => `s${152 + at}`),
  );
  assert.equal(heard.length, 250);
  assert.equal(new Set(heard).size, 250);
});

test('who names the last event that it has gets what came after, exactly, as long as it is kept', () => {
  fc.assert(
    fc.property(fc.nat(300), fc.nat(300), (count, seen) => {
      const events = eventsOf();
      const ids: string[] = [];
      events.subscribe(({ id }) => ids.push(id));
      for (let at = 0; at < count; at++) events.add({ kind: 'file_caught_up' });
      const last = ids[seen] ?? null;
      const missed = last === null ? ids : ids.slice(seen + 1);
      assert.deepEqual(
        events.after(last).map(({ id }) => id),
        missed.slice(-100),
      );
    }),
  );
});

test('the id of an earlier run, or none of ours, gets all that is kept', () => {
  const events = eventsOf(() => 2000);
  for (let at = 0; at < 3; at++) events.add({ kind: 'file_caught_up' });
  const [first] = events.after(null);
  assert.equal(events.after(first?.id ?? null).length, 2);
  const earlier = eventsOf(() => 1000);
  earlier.add({ kind: 'file_caught_up' });
  for (const id of [earlier.after(null)[0]?.id ?? '', '', '-', 'x', `${first?.id}x`, '1-1-1'])
    assert.equal(events.after(id).length, 3, id);
});

test('no secret is kept or told, also one that was learned later', () => {
  const secrets = ['early'];
  const hide = <T>(value: T): T =>
    JSON.parse(secrets.reduce((text, secret) => text.replaceAll(secret, '***'), JSON.stringify(value))) as T;
  const events = new Events({ now: () => 0, masked: hide });
  const told: Event[] = [];
  events.subscribe((event) => told.push(event));
  events.add({ kind: 'trouble', error: 'early and late' });
  secrets.push('late');
  assert.deepEqual(
    [...told, ...events.after(null)].map((event) => 'error' in event && event.error),
    ['*** and late', '*** and ***'],
  );
});

test('an event is written as server-sent events have it, whatever is in its texts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (reason) => {
      const facts = { at: 7, kind: 'config_refused', reason, error: reason } as const;
      const text = formatEvent({ id: 'a-1', ...facts });
      assert.match(text, /^id: a-1\nevent: config_refused\ndata: [^\r\n]*\n\n$/);
      const data = text.split('\n')[2]?.slice('data: '.length) ?? '';
      assert.deepEqual(JSON.parse(data), facts);
    }),
  );
});

test('an event that had another name before is written under that as well, with what it had then', () => {
  const drift = [{ backend: 'web', server: 'a', kind: 'weight', detail: '7' }] as const;
  const [before, now] = formatEvent({ id: 'a-1', at: 7, kind: 'drift_repaired', drift, more: 0 }).split('\n\n');
  assert.match(before ?? '', /^event: drift\ndata: /);
  assert.deepEqual(JSON.parse((before ?? '').split('data: ')[1] ?? ''), {
    at: 7,
    kind: 'drift',
    drift,
    more: 0,
    isRepaired: true,
  });
  assert.match(now ?? '', /^id: a-1\nevent: drift_repaired\ndata: \{"at":7,"kind":"drift_repaired","drift":/);
});

const reasons = [{ code: 'bind_changed', section: 'frontend web:in', detail: 'x' }] as const;
const drift = [{ backend: 'web', server: 'a', kind: 'weight', detail: '7' }] as const;

test('each event is a line for people', () => {
  const lines = (
    [
      [{ kind: 'answered', watcher: 'consul', queries: ['a', 'b'], more: 3 }, 'consul: source has news: a, b, 3 more'],
      [
        { kind: 'source_failed', watcher: 'consul', reason: 'ECONNREFUSED', retryInMs: 5, hasAnswered: true },
        'consul: source failed; retrying: ECONNREFUSED (its last answers serve)',
      ],
      [
        { kind: 'query_failed', watcher: 'consul', queries: ['web'], more: 0, reason: 'HTTP 403' },
        'consul: query failed, its last answer serves where there was one: web: HTTP 403',
      ],
      [
        { kind: 'large_loss', service: 'web', reason: 'shrunk', endpoints: 4, until: 60_000, remedy: '' },
        'web: large loss of endpoints, retaining them (maxShrink): 4 endpoints for 60s',
      ],
      [
        { kind: 'reload', reasons, more: 0, tookMs: 41.3, reloadMs: 38, sinceChangeMs: 80 },
        'HAProxy reloaded: in 41 ms, 80 ms after the change: frontend web:in: a `bind` line changed (bind_changed): x',
      ],
      [
        { kind: 'runtime', backends: ['web'], more: 0, commands: 1, tookMs: 3, sinceChangeMs: null },
        'servers changed at runtime: in 3 ms, 1 command: web',
      ],
      [
        { kind: 'pending', reasons, more: 0, because: 'min_interval', startsAt: 2000 },
        'reload waits: 2s, minimum interval between reloads (reload.minInterval): frontend web:in: a `bind` line changed (bind_changed): x',
      ],
      [
        { kind: 'failed', error: 'no space', reasons: [], more: 0, tookMs: 5, isServing: true },
        'update failed, what runs stays as it is; retrying: no space',
      ],
      [{ kind: 'drift_repaired', drift, more: 0 }, 'drift repaired: web/a: weight is 7'],
      [
        { kind: 'override_set', backend: 'web', server: 'a', state: 'maint', until: 1_800_000 },
        'web/a: operator set the state of a server: maint for 30m',
      ],
      [
        { kind: 'connections_closed', limit: 'drain_timeout', pid: 7, connections: 2 },
        'limit of the config closed connections: 2 connections, drain_timeout, pid 7',
      ],
    ] as const
  ).map(([message, line]) => [describeEvent({ id: '1', at: 0, ...message }), line]);
  for (const [said, line] of lines) assert.equal(said, line);
});

test('of every event the line names what it is about', () => {
  for (const event of sampleEvents) {
    const line = describeEvent(event);
    assert.doesNotMatch(line, /undefined|\[object|\n/, event.kind);
    for (const about of ['watcher', 'service', 'server', 'path', 'error'] as const)
      if (about in event) assert.ok(line.includes(String(event[about as keyof Event])), `${event.kind}: ${line}`);
  }
});

test('an event of another version of Myelin is named', () => {
  assert.equal(describeEvent({ id: '1', at: 0, kind: 'to_come' } as unknown as Event), 'to_come');
  const former = { id: '1', at: 0, kind: 'quarantined', service: 'web' } as unknown as Event;
  assert.equal(describeEvent(former), 'web: service quarantined, the others are applied');
});

test('no control character of a name or reason reaches the terminal, and each event stays on its line', () => {
  const event: Event = { id: '1', at: 0, kind: 'config_refused', error: '', reason: 'two\n  lines \x1b[2J\u202e' };
  assert.equal(
    formatEvents({ events: [event], eventsTrouble: null }, 3000),
    '\nevents\n  3s ago  new config refused, the old one stays: two lines \\u001b[2J\\u202e\n',
  );
  assert.equal(formatEvents({ events: [], eventsTrouble: null }, 0), '');
  assert.match(formatEvents({ events: [], eventsTrouble: 'no line' }, 0), /^\nevents\n {2}none {2}no line\n$/);
});

test('what does not fit on the page is cut out of the status, and the events stay', () => {
  const status = Array.from({ length: 50 }, (_, at) => `line ${at}\n`).join('');
  const events = 'events\n  one\n';
  assert.equal(fit(status, events, 100).length, 52);
  assert.deepEqual(fit(status, events, 5), ['line 0', 'line 1', '  … 48 more lines', 'events', '  one'].slice(0, 5));
  fc.assert(fc.property(fc.integer({ min: 1, max: 80 }), (rows) => fit(status, events, rows).length <= rows));
});
