/** What the master says of its processes is read the same in all versions. The answers are those of the real HAProxy. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { AppError } from '../../../src/errors.ts';
import { type Processes, parseProcesses } from '../../../src/haproxy/cli/master.ts';
import { sessionsIn } from '../../../src/haproxy/cli/sessions.ts';

const branch2 = { major: 2, minor: 2, text: '2.2.9-2+deb11u6' };

function pids({ master, workers, oldWorkers }: Processes): readonly (readonly number[])[] {
  return [[master.pid], workers.map(({ pid }) => pid), oldWorkers.map(({ pid }) => pid)];
}

test('the master of 2.2 has a column more, and a worker that leaves says what it was there', () => {
  const processes = parseProcesses(
    [
      '#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>      ',
      '24744           master          0               1               0d00h00m01s     2.2.9-2+deb11u6',
      '# workers',
      '24811           worker          1               0               1d02h03m04s     2.2.9-2+deb11u6',
      '# old workers',
      '24746           worker          [was: 1]        1               0d00h00m01s     2.2.9-2+deb11u6',
      '# programs',
      '',
      '',
    ].join('\n'),
  );
  assert.deepEqual(processes, {
    master: { pid: 24744, reloads: 1, uptimeSec: 1, version: branch2 },
    workers: [{ pid: 24811, reloads: 0, uptimeSec: 93784, version: branch2 }],
    oldWorkers: [{ pid: 24746, reloads: 1, uptimeSec: 1, version: branch2 }],
  });
});

test('from 2.5 on failed reloads stand in the column of the reloads', () => {
  const processes = parseProcesses(
    [
      '#<PID>          <type>          <reloads>       <uptime>        <version>      ',
      '23354           master          2 [failed: 1]   0d00h00m02s     2.6.12-1+deb12u4',
      '# workers',
      '23360           worker          1               0d00h00m01s     2.6.12-1+deb12u4',
      '# programs',
      '',
    ].join('\n'),
  );
  assert.deepEqual(pids(processes), [[23354], [23360], []]);
  assert.equal(processes.master.reloads, 2);
  assert.equal(processes.workers[0]?.reloads, 1);
});

test('numbers that outgrow their column are read all the same', () => {
  const processes = parseProcesses(
    [
      '#<PID>          <type>          <reloads>       <uptime>        <version>      ',
      '4194304         master          100000 [failed: 1000] 400d00h00m02s   3.0.11-1+deb13u3',
      '# workers',
      '4194305         worker          0               0d00h00m01s     3.0.11-1+deb13u3',
    ].join('\n'),
  );
  assert.equal(processes.master.reloads, 100_000);
  assert.equal(processes.master.uptimeSec, 400 * 86_400 + 2);
});

test('after a failed reload 3.2 lists the worker that serves among the old ones', () => {
  const processes = parseProcesses(
    [
      '#<PID>          <type>          <reloads>       <uptime>        <version>      ',
      '23396           master          2 [failed: 1]   0d00h00m01s     3.2.26-1       ',
      '# workers',
      '# old workers',
      '23401           worker          1               0d00h00m00s     3.2.26-1       ',
      '',
    ].join('\n'),
  );
  assert.deepEqual(pids(processes), [[23396], [], [23401]]);
});

test('programs are no workers, and old ones come with the oldest first', () => {
  const processes = parseProcesses(
    [
      '#<PID>          <type>          <reloads>       <uptime>        <version>      ',
      '10              master          3 [failed: 0]   0d00h10m02s     3.0.11-1+deb13u3',
      '# workers',
      '15              worker          0               0d00h00m01s     3.0.11-1+deb13u3',
      '# old workers',
      '14              worker          1               0d00h01m01s     3.0.11-1+deb13u3',
      '11              worker          3               0d00h10m01s     3.0.11-1+deb13u3',
      '# programs',
      '16              exporter        0               0d00h00m01s     -              ',
      '# old programs',
      '12              exporter        3               0d00h10m01s     -              ',
    ].join('\n'),
  );
  assert.deepEqual(pids(processes), [[10], [15], [11, 14]]);
});

test('what is no answer of a master is refused with what to do about it', () => {
  for (const text of ['', "Unknown command: 'show proc'\n", 'Permission denied\n'])
    assert.throws(
      () => parseProcesses(text),
      (error: unknown) => error instanceof AppError && /masterSocket/.test(error.remedy ?? ''),
    );
});

test('of the sessions of a worker those of its own command line are left alone', () => {
  const answer = [
    '0x7fc079112400: proto=tcpv4 src=127.0.0.1:46606 fe=web:in be=web srv=a ts=00 epoch=0 age=0s calls=2',
    '0x7fc079112000: proto=sockpair src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1',
    '0x555591c1ed80: proto=unix_stream src=unix:1 fe=other be=<NONE> srv=<none> ts=00 age=1s calls=2',
    '',
  ].join('\n');
  assert.deepEqual(sessionsIn(answer), ['0x7fc079112400', '0x555591c1ed80']);
});
