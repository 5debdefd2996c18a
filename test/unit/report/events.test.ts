/** What is kept of what happens, and how it is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fit, formatEvents } from '../../../src/commands/text/display.ts';
import { describeEvent } from '../../../src/commands/text/event-text.ts';
import { formatEvent } from '../../../src/http/event-stream.ts';
import { type Event, Events, few } from '../../../src/report/events.ts';
import { sampleEvents } from '../../support/events.ts';

const eventsOf = (now = () => 0): Events => new Events({ now, masked: (value) => value });
const services = (events: readonly Event[]): readonly string[] =>
  events.map((event) => ('service' in event ? event.service : event.kind));

test('of what happened the last hundred are kept, in their order, and each is told once to who listens', () => {
  const events = eventsOf();
  const heard: string[] = [];
  const end = events.subscribe((event) => heard.push(event.id));
  for (let at = 1; at <= 250; at++) events.add({ kind: 'whole_again', service: `s${at}` });
  end();
  events.add({ kind: 'whole_again', service: 's251' });
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

test('answers that come together are one event, told before what comes of them, and soon if nothing does', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const events = eventsOf();
  for (let at = 0; at < 5000; at++) events.answered({ watcher: 'consul', query: `s${at % 3}` });
  events.answered({ watcher: 'file', query: 'web' });
  assert.deepEqual(events.after(null), []);
  events.add({ kind: 'synced', watcher: 'consul' });
  events.answered({ watcher: 'file', query: 'db' });
  t.mock.timers.tick(100);
  assert.deepEqual(
    events.after(null).map((event) => [event.kind, 'queries' in event ? event.queries : []]),
    [
      ['answered', ['s0', 's1', 's2']],
      ['answered', ['web']],
      ['synced', []],
      ['answered', ['db']],
    ],
  );
});

test('a long list is told by its beginning and by how much more there is', () => {
  assert.deepEqual(few([1, 2]), { list: [1, 2], more: 0 });
  const { list, more } = few(Array.from({ length: 5000 }, (_, at) => at));
  assert.deepEqual([list.length, more], [20, 4980]);
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
      const event: Event = { id: 'a-1', at: 7, kind: 'config_refused', reason };
      const text = formatEvent(event);
      assert.match(text, /^id: a-1\nevent: config_refused\ndata: [^\r\n]*\n\n$/);
      const data = text.split('\n')[2]?.slice('data: '.length) ?? '';
      assert.deepEqual(JSON.parse(data), { at: 7, kind: 'config_refused', reason: reason });
    }),
  );
});

const reasons = [{ code: 'bind_changed', section: 'frontend web:in', detail: 'x' }] as const;
const drift = [{ backend: 'web', server: 'a', kind: 'weight', detail: '7' }] as const;

test('each event is a line for people', () => {
  const lines = (
    [
      [{ kind: 'answered', watcher: 'consul', queries: ['a', 'b'], more: 3 }, 'consul: news of a, b, 3 more'],
      [
        { kind: 'source_failed', watcher: 'consul', reason: 'ECONNREFUSED', retryInMs: 5 },
        'consul failed, what is known of it serves on: ECONNREFUSED',
      ],
      [
        { kind: 'kept', service: 'web', reason: 'shrunk', endpoints: 4, until: 60_000 },
        'web: 4 gone at the source and kept for 60s (maxShrink)',
      ],
      [
        { kind: 'reload', reasons, more: 0, tookMs: 41.3, sinceChangeMs: 80 },
        'reloaded in 41 ms, 80 ms after the change: bind_changed frontend web:in: x',
      ],
      [
        { kind: 'runtime', backends: ['web'], more: 0, commands: 1, tookMs: 3, sinceChangeMs: null },
        'servers changed in 3 ms: web (1 command)',
      ],
      [
        { kind: 'pending', reasons, more: 0, because: 'the gap between reloads', startsAt: 2000 },
        'reload waits 2s (the gap between reloads): bind_changed frontend web:in: x',
      ],
      [{ kind: 'failed', error: 'no space', reasons: [], more: 0 }, 'could not be applied: no space'],
      [{ kind: 'drift', drift, more: 0, isRepaired: true }, 'set right: web/a: weight is 7'],
      [
        { kind: 'ordered', backend: 'web', server: 'a', state: 'maint', until: 1_800_000 },
        'an operator orders web/a maint for 30m',
      ],
      [
        { kind: 'connections_closed', limit: 'drain_timeout', pid: 7, connections: 2 },
        '2 connections of an old HAProxy closed by a limit (drain_timeout, pid 7)',
      ],
    ] as const
  ).map(([happening, line]) => [describeEvent({ id: '1', at: 0, ...happening }), line]);
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

test('no control character of a name or reason reaches the terminal, and each event stays on its line', () => {
  const event: Event = { id: '1', at: 0, kind: 'config_refused', reason: 'two\n  lines \x1b[2J\u202e' };
  assert.equal(
    formatEvents({ events: [event], eventsTrouble: null }, 3000),
    '\nevents\n  3s ago  the new config is refused, the old one stays: two lines \\u001b[2J\\u202e\n',
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
