import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DriverEvent } from '../../../src/apply/driver-event.ts';
import { reap } from '../../../src/apply/runtime/reap.ts';

test('an old process that does not answer keeps no other from deleting what was removed, and is told of', async () => {
  const events: DriverEvent[] = [];
  const tidied: number[] = [];
  const hung = Promise.withResolvers<never>();
  const workers = [
    { pid: 1, reap: () => Promise.reject(new Error('it ended')) },
    { pid: 2, reap: () => hung.promise },
    {
      pid: 3,
      async reap() {
        tidied.push(3);
        hung.reject(new Error('no answer'));
        return { closed: 2, unexpected: [] };
      },
    },
  ];
  await reap([null, ...workers], 1000, (event) => events.push(event));
  assert.deepEqual(tidied, [3]);
  const told = events.map((event) => ('error' in event ? String(event.error) : event.kind));
  assert.deepEqual(told.sort(), ['Error: it ended', 'Error: no answer', 'connections_closed']);
});
