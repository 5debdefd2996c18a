import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlEvent } from '../../../src/apply/driver.ts';
import { tidy } from '../../../src/apply/runtime/reap.ts';

test('an old process that does not answer keeps no other from deleting what was removed, and is told of', async () => {
  const events: ControlEvent[] = [];
  const tidied: number[] = [];
  const hung = Promise.withResolvers<never>();
  const workers = [
    { pid: 1, tidy: () => Promise.reject(new Error('it ended')) },
    { pid: 2, tidy: () => hung.promise },
    {
      pid: 3,
      async tidy() {
        tidied.push(3);
        hung.reject(new Error('no answer'));
        return { closed: 2, unexpected: [] };
      },
    },
  ];
  await tidy([null, ...workers], 1000, (event) => events.push(event));
  assert.deepEqual(tidied, [3]);
  const told = events.map((event) => ('error' in event ? String(event.error) : event.kind));
  assert.deepEqual(told.sort(), ['Error: it ended', 'Error: no answer', 'connections_closed']);
});
