/** What is believed of one HAProxy process, without one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from '../../../src/apply/runtime/worker.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';

test('a process that hangs is missed after 5 s each time it is looked at, whatever else was asked before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const asked: string[] = [];
  const ask = (line: string): Promise<string> => {
    asked.push(line);
    return new Promise(() => {});
  };
  const worker = new Worker({
    pid: 1,
    version: parseVersion('2.6.12') ?? assert.fail(),
    started: null,
    running: { sections: [] },
    ask,
    now: () => 0,
  });
  for (let look = 1; look <= 3; look++) {
    const missed = assert.rejects(worker.checkAlive(), {
      code: 'MYELIN_SOCKET_FAILED',
      message: 'HAProxy’s runtime API: no answer within 5000 ms',
    });
    t.mock.timers.tick(5000);
    await missed;
  }
  assert.equal(asked.length, 1, 'nothing is asked again before it is answered');
});
