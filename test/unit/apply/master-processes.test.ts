/** Who serves under a master. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MasterProcesses } from '../../../src/apply/master/processes.ts';

test('a HAProxy of somebody else that is left in place is still known as theirs after a moment of silence', () => {
  const processes = new MasterProcesses({
    socket: '/nowhere',
    ownSocket: () => '/nowhere',
    hardStopAfterMs: () => 0,
    now: () => 0,
    onEvent() {},
    onChange() {},
  });
  const foreign = { pid: 7, startedSec: 1, isExact: true, isByHand: true };
  processes.meet(foreign, true);
  processes.ended('gone');
  assert.deepEqual(processes.foreign, foreign);
  processes.ended('soft_stop');
  assert.equal(processes.foreign, null);
});
