import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recent } from '../../../src/http/recent.ts';

test('an answer that costs is made so often that it takes a fiftieth of the time, whoever asks', async () => {
  let now = 0;
  let made = 0;
  const ask = recent(
    () => {
      now += 10;
      made += 1;
      return made;
    },
    { now: () => now },
  );
  assert.deepEqual(await Promise.all([ask(), ask()]), [1, 1]);
  now += 499;
  assert.equal(await ask(), 1);
  now += 1;
  assert.equal(await ask(), 2);
});

test('an answer that takes very long is made every five seconds all the same', async () => {
  let now = 0;
  const ask = recent(
    () => {
      now += 1000;
      return now;
    },
    { now: () => now },
  );
  assert.equal(await ask(), 1000);
  now += 5000;
  assert.equal(await ask(), 7000);
});

test('an answer that fails is not kept', async () => {
  let isBroken = true;
  const ask = recent(() => {
    if (isBroken) throw new Error('broken');
    return 'well';
  });
  await assert.rejects(ask(), /broken/);
  isBroken = false;
  assert.equal(await ask(), 'well');
});
