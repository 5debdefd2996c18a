/** Which HAProxy serves, and which leave, with processes that need not be HAProxy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Processes } from '../../../src/apply/process/processes.ts';
import { serving } from '../../../src/apply/process/serving.ts';
import { generationAt } from '../../../src/apply/state/generation.ts';
import { identifyProcess } from '../../../src/apply/system/processes.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';

test('Processes: whoever was found to serve while one of ours began to does not take its place', async () => {
  const id = identifyProcess(process.pid) ?? assert.fail();
  const processes = begin();
  const foreign = { pid: id.pid, id, socket: '/s' };
  processes.foreign(foreign, true);
  assert.match(processes.tracker.whyNone[0]?.detail ?? '', /started by somebody else/);
  const next = serving(generationAt('/nowhere', 1), id, {
    sections: [],
    started: null,
    version: parseVersion('2.6.12') ?? assert.fail(),
    binary: null,
    since: 0,
    now: () => 0,
  });
  await processes.takeOver(next);
  processes.foreign(foreign, true);
  assert.equal(processes.serving, next);
  processes.foreign(null, true);
  assert.equal(processes.serving, next);
  processes.forget();
});

test('Processes: that somebody else’s is gone is known once it is asked for again', () => {
  const id = identifyProcess(process.pid) ?? assert.fail();
  const processes = begin();
  processes.foreign({ pid: id.pid, id, socket: '/s' }, true);
  processes.foreign(null, true);
  assert.deepEqual(processes.tracker.whyNone, [{ code: 'haproxy_exited' }]);
});

function begin(): Processes {
  return new Processes(
    { serving: null, oldWorkers: [] },
    {
      hardStopAfterMs: () => 600_000,
      now: () => 0,
      onEvent: () => {},
      onLost: () => assert.fail('nothing is lost'),
      tolerate: async (work) => void (await work),
      onChange: () => {},
    },
  );
}
