import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memories, Memory } from '../../../../watchers/kubernetes/api/memory.ts';
import { endpointSlices, services } from '../../../../watchers/kubernetes/api/resources.ts';

const place = { version: '7', first: 'uid' };

test('what was read is remembered for whoever asks the same next, and for nobody else', () => {
  const memories = new Memories();
  const memory = new Memory(null);
  memories.keep('a', new Map([['shop', memory]]));
  assert.equal(memories.take('a').get('shop'), memory);
  assert.equal(memories.take('a').size, 0, 'one may have it');
  memories.keep('a', new Map([['shop', memory]]));
  assert.equal(memories.take('b').size, 0);
  assert.equal(memories.take('a').size, 0, 'it is not kept for later');
});

test('a place is remembered by resource, until one of them or all are not to be relied on', () => {
  const memory = new Memory(null);
  memory.setPlace(services, place);
  memory.setPlace(endpointSlices, place);
  memory.setPlace(services, null);
  assert.deepEqual([memory.place(services), memory.place(endpointSlices)], [null, place]);
  memory.distrust();
  assert.equal(memory.place(endpointSlices), null);
});

test('what is known from before counts once both parts of it are confirmed or read anew', () => {
  const { view } = new Memory(null);
  view.replaceServices([]);
  view.replaceSlices([]);
  assert.ok(view.isComplete);
  view.doubt();
  view.confirm('services');
  assert.equal(view.isComplete, false);
  view.replaceSlices([]);
  assert.ok(view.isComplete);
});
