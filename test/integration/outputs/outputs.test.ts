import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import { isThere } from '../../../src/lib/files/files.ts';
import { now } from '../../../src/lib/time/clock.ts';
import type { Endpoint, Moment, Ms } from '../../../src/model.ts';
import { type Output, outputTarget } from '../../../src/outputs/file-output.ts';
import { type OutputEvent, Outputs } from '../../../src/outputs/outputs.ts';
import { tempFolder, until } from '../../support/index.ts';

/** A folder with a file to be written, and commands that count how often they are run. */
async function place() {
  const folder = await tempFolder();
  const path = join(folder.path, 'out', 'hosts');
  const told = join(folder.path, 'state', 'hosts.told');
  const signal = new AbortController().signal;
  const output = (of: Partial<Output> = {}): Output => ({
    name: 'hosts',
    path,
    mode: 0o640,
    check: null,
    reload: null,
    timeoutMs: 10_000,
    minIntervalMs: 0,
    render: ({ endpoints }) => [...endpoints.keys()].join('\n'),
    ...of,
  });
  return {
    folder: folder.path,
    path,
    told,
    output,
    /** As a Myelin does that starts anew. */
    reconcile: (text: string, of: Partial<Output> = {}) => outputTarget(output(of), told).reconcile(text, signal),
    read: () => readFile(path, 'utf8'),
    beside: async () => (await readdir(join(folder.path, 'out'))).sort(),
    /** Each line of this file is a run of a command: what the output's file held then. */
    noting: (log: string, status = 0): readonly string[] => [
      'sh',
      '-c',
      `cat "$1" >> "$2"; echo >> "$2"; exit ${status}`,
      'sh',
      '{file}',
      join(folder.path, log),
    ],
    runs: async (log: string): Promise<readonly string[]> =>
      (await readFile(join(folder.path, log), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const hangs = ['sh', '-c', 'sleep 600', 'sh', '{file}'];

/** Without `{file}` among its arguments: it looks at the file in its place. */
const inPlace = (path: string, wanted: string): readonly string[] => ['grep', '-q', wanted, path];

test('a file is written with its mode, its reader told once, and equal bytes are not written again', async () => {
  await using my = await place();
  const reload = my.noting('reloads');
  assert.deepEqual(await my.reconcile('one', { reload }), { kind: 'changed' });
  assert.equal(await my.read(), 'one');
  assert.equal((await stat(my.path)).mode & 0o777, 0o640);
  const { ino } = await stat(my.path);
  assert.deepEqual(await my.reconcile('one', { reload }), { kind: 'unchanged' });
  assert.deepEqual(await my.reconcile('one', { reload, mode: 0o644 }), { kind: 'unchanged' });
  assert.deepEqual([(await stat(my.path)).ino, (await stat(my.path)).mode & 0o777], [ino, 0o644]);
  assert.deepEqual(await my.runs('reloads'), ['one']);
  assert.deepEqual(await my.beside(), ['hosts']);
});

test('what a check with {file} refuses never stands in its place, and is kept beside it', async () => {
  await using my = await place();
  await my.reconcile('good');
  const check = ['sh', '-c', 'echo "no such word: $(cat "$1")" >&2; exit 3', 'sh', '{file}'];
  const outcome = await my.reconcile('bad', { check });
  assert.ok(outcome.kind === 'failed' && outcome.step === 'check');
  assert.match(outcome.error.message, /^output hosts: `sh -c .*` \(check\): exit status 3: no such word: bad$/);
  assert.equal(await my.read(), 'good');
  assert.deepEqual(await my.beside(), ['.hosts.rejected', 'hosts']);
});

test('a check without {file} sees the new file in its place, and where it refuses it the old one is back', async () => {
  await using my = await place();
  const check = inPlace(my.path, 'good');
  const reload = my.noting('reloads');
  assert.deepEqual(await my.reconcile('good 1', { check, reload }), { kind: 'changed' });
  const outcome = await my.reconcile('bad', { check, reload });
  assert.ok(outcome.kind === 'failed' && outcome.step === 'check');
  assert.equal(await my.read(), 'good 1');
  assert.deepEqual(await my.reconcile('good 2', { check, reload }), { kind: 'changed' });
  assert.deepEqual(await my.runs('reloads'), ['good 1', 'good 2']);
  assert.deepEqual(await my.beside(), ['.hosts.rejected', 'hosts']);
});

test('the first file that its check refuses in its place does not stay there', async () => {
  await using my = await place();
  const outcome = await my.reconcile('bad', { check: inPlace(my.path, 'good') });
  assert.equal(outcome.kind, 'failed');
  assert.deepEqual(await my.beside(), ['.hosts.rejected']);
});

test('a file that was in its place already, and that its check refuses there, stays, and its reader is not told', async () => {
  await using my = await place();
  await my.reconcile('as it was');
  const reload = my.noting('reloads');
  const outcome = await my.reconcile('as it was', { check: inPlace(my.path, 'good'), reload });
  assert.ok(outcome.kind === 'unchanged', 'it was told of');
  await rm(my.told);
  const refused = await my.reconcile('as it was', { check: inPlace(my.path, 'good'), reload });
  assert.ok(refused.kind === 'failed' && refused.step === 'check');
  assert.equal(await my.read(), 'as it was');
  assert.deepEqual([await my.beside(), await my.runs('reloads')], [['.hosts.rejected', 'hosts'], []]);
});

test('a check in its place that is broken off leaves the file before it', async () => {
  await using my = await place();
  const begun = join(my.folder, 'begun');
  await my.reconcile('good');
  const check = ['sh', '-c', 'touch "$1"; sleep 600', 'sh', begun];
  const end = new AbortController();
  const broken = outputTarget(my.output({ check, timeoutMs: 600_000 }), my.told).reconcile('new', end.signal);
  await until('the check runs', () => isThere(begun));
  end.abort();
  await assert.rejects(broken, { name: 'AbortError' });
  assert.deepEqual([await my.read(), await my.beside()], ['good', ['hosts']]);
  assert.deepEqual(await my.reconcile('good', { reload: my.noting('reloads') }), { kind: 'changed' });
  assert.deepEqual(await my.runs('reloads'), ['good'], 'its reader may have seen the other');
});

test('a reload that failed is run again, also by a Myelin that finds the file as it should be', async () => {
  await using my = await place();
  const outcome = await my.reconcile('one', { reload: my.noting('reloads', 1) });
  assert.ok(outcome.kind === 'failed' && outcome.step === 'reload');
  assert.equal(await my.read(), 'one');
  assert.deepEqual(await my.reconcile('one', { reload: my.noting('reloads') }), { kind: 'changed' });
  assert.deepEqual(await my.reconcile('one', { reload: my.noting('reloads') }), { kind: 'unchanged' });
  assert.deepEqual(await my.runs('reloads'), ['one', 'one']);
});

test('where Myelin was killed during a check in place, the file before it is back, and its reader is told what counts', async () => {
  await using my = await place();
  const check = inPlace(my.path, 'good');
  const reload = my.noting('reloads');
  await my.reconcile('good', { check, reload });
  // As it is left there: the old file under another name, the new one in its place.
  await writeFile(join(my.folder, 'out', '.hosts.previous'), 'good');
  await writeFile(my.path, 'bad');
  assert.deepEqual(await my.reconcile('good', { check, reload }), { kind: 'changed' });
  assert.equal(await my.read(), 'good');
  assert.deepEqual(await my.runs('reloads'), ['good', 'good']);
  assert.deepEqual(await my.beside(), ['hosts']);
});

test('a pipe or a folder at the path of an output is a failure that says what to do, and holds up nothing', async () => {
  await using my = await place();
  await mkdir(join(my.folder, 'out'));
  const pipe = join(my.folder, 'out', 'pipe');
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0);
  for (const path of [pipe, join(my.folder, 'out')]) {
    const outcome = await my.reconcile('one', { path });
    assert.ok(outcome.kind === 'failed' && outcome.step === 'write');
    assert.equal(outcome.error.message, `output hosts: ${path} is not a regular file`);
    assert.match(outcome.error.remedy ?? '', /^remove what stands there, or choose another `path`/);
  }
});

test('a command that cannot be run, that hangs, or a folder that cannot be written is a failure with its reason', async () => {
  await using my = await place();
  const missing = await my.reconcile('one', { check: ['/no/such/program', '{file}'] });
  assert.match(missing.kind === 'failed' ? missing.error.message : '', /cannot be run: .*ENOENT/);
  const hanging = await my.reconcile('one', { check: hangs, timeoutMs: 100 });
  assert.match(hanging.kind === 'failed' ? hanging.error.message : '', /did not end in time/);
  await rm(join(my.folder, 'out'), { recursive: true });
  await writeFile(join(my.folder, 'out'), '');
  const unwritable = await my.reconcile('one');
  assert.ok(unwritable.kind === 'failed' && unwritable.step === 'write');
});

const endpoint: Endpoint = { id: 'a', address: '10.0.0.1', port: 80, weight: 1, state: 'ready' };
const view = (...names: readonly string[]) => ({
  open: true,
  pending: { size: 0 },
  endpoints: new Map(names.map((name) => [name, [endpoint]] as const)),
});

/** Outputs with what they tell; ended with what they have under way. */
function running(folder: string, verifyMs: Ms = 3_600_000) {
  const life = new AbortController();
  const events: OutputEvent[] = [];
  const times: Moment[] = [];
  const report = (event: OutputEvent): void => {
    events.push(event);
    times.push(now());
  };
  const outputs = new Outputs(
    { state: join(folder, 'state'), now, report, verifyInterval: () => verifyMs },
    life.signal,
  );
  return {
    outputs,
    events,
    times,
    async [Symbol.asyncDispose]() {
      life.abort();
      await outputs.ended();
    },
  };
}

test('an output that hangs holds up no other', async () => {
  await using my = await place();
  await using run = running(my.folder);
  const hanging = my.output({ name: 'hanging', check: hangs, timeoutMs: 600_000 });
  const other = my.output({ name: 'other', path: join(my.folder, 'out', 'other') });
  run.outputs.show([hanging, other], view('web'));
  await until('the other is written', async () => run.events.some(({ kind }) => kind === 'output_written'));
  assert.equal(await readFile(other.path, 'utf8'), 'web');
});

test('a failure of an output is told once and tried again until it is mended, and another text is tried without waiting for that', async () => {
  await using my = await place();
  await using run = running(my.folder);
  await mkdir(join(my.folder, 'out'));
  const check = ['sh', '-c', '! grep -q bad "$1"', 'sh', '{file}'];
  const outputs = [my.output({ check })];
  run.outputs.show(outputs, view('bad'));
  await run.outputs.settled();
  for (let round = 0; round < 3; round++) run.outputs.show(outputs, view('bad'));
  await run.outputs.settled();
  assert.deepEqual(
    run.events.map(({ kind }) => kind),
    ['output_failed'],
  );
  assert.equal(run.outputs.states[0]?.state.kind, 'failed');
  run.outputs.show(outputs, view('good'));
  await run.outputs.settled();
  assert.equal(await my.read(), 'good');
  assert.deepEqual(
    run.events.map(({ kind }) => kind),
    ['output_failed', 'output_written'],
  );
});

test('a failure whose command finds other words each time is told once', async () => {
  await using my = await place();
  await using run = running(my.folder);
  const check = ['sh', '-c', 'echo "refused at $(date +%s.%N)" >&2; exit 3', 'sh', '{file}'];
  const outputs = [my.output({ check })];
  const reasons = new Set<string>();
  for (const name of ['a', 'b', 'c']) {
    run.outputs.show(outputs, view(name));
    await run.outputs.settled();
    const [report] = run.outputs.states;
    assert.ok(report?.state.kind === 'failed');
    reasons.add(report.state.error.message);
  }
  assert.equal(reasons.size, 3, 'the state has the newest words');
  assert.deepEqual(
    run.events.map(({ kind }) => kind),
    ['output_failed'],
  );
});

test('a file that somebody else overwrites, removes or gives another mode is restored, and its reader is told', async () => {
  await using my = await place();
  await using run = running(my.folder, 20);
  const reload = my.noting('reloads');
  run.outputs.show([my.output({ reload })], view('web'));
  await until('it is written', async () => run.events.length === 1);
  const restored = (times: number) =>
    until('it is restored', async () => run.events.filter(({ kind }) => kind === 'output_restored').length === times);
  await writeFile(my.path, 'somebody else');
  await restored(1);
  assert.equal(await my.read(), 'web');
  await rm(my.path);
  await restored(2);
  assert.equal(await my.read(), 'web');
  await chmod(my.path, 0o600);
  await restored(3);
  assert.equal((await stat(my.path)).mode & 0o777, 0o640);
  assert.deepEqual(await my.runs('reloads'), ['web', 'web', 'web'], 'another mode is nothing to reload for');
  assert.equal(run.outputs.states[0]?.state.kind, 'current');
});

test('an output that failed is tried again by itself', async () => {
  await using my = await place();
  await using run = running(my.folder);
  await using blocked = await tempFolder();
  const gate = join(blocked.path, 'open');
  run.outputs.show([my.output({ reload: ['test', '-e', gate] })], view('web'));
  await run.outputs.settled();
  assert.equal(run.outputs.states[0]?.state.kind, 'failed');
  await writeFile(gate, '');
  await until('it has succeeded', async () => run.outputs.states[0]?.state.kind === 'current');
});

test('a burst of changes is written to an output at its beginning and once more when `minInterval` is over', async () => {
  await using my = await place();
  await using run = running(my.folder);
  const outputs = [my.output({ reload: my.noting('reloads'), minIntervalMs: 500 })];
  run.outputs.show(outputs, view('a0'));
  await until('the first is there', async () => (await my.runs('reloads')).length === 1);
  for (let at = 1; at <= 20; at++) {
    run.outputs.show(outputs, view(`a${at}`));
    await timers.setImmediate();
  }
  await until('the last is there', async () => run.times.length === 2);
  const [first = 0, second = 0] = run.times;
  assert.ok(second - first >= 499, `${second - first} ms`);
  assert.deepEqual(await my.runs('reloads'), ['a0', 'a20']);
});

test('an output is not written as long as a service is not known, and what stands there stays', async () => {
  await using my = await place();
  await using run = running(my.folder);
  await mkdir(join(my.folder, 'out'));
  await writeFile(my.path, 'before');
  const outputs = [my.output()];
  run.outputs.show(outputs, { ...view('web'), pending: { size: 1 } });
  run.outputs.show(outputs, { ...view('web'), open: false });
  await run.outputs.settled();
  assert.deepEqual([await my.read(), run.outputs.states[0]?.state.kind], ['before', 'waiting']);
  run.outputs.show(outputs, view('web'));
  await run.outputs.settled();
  assert.equal(await my.read(), 'web');
});

test('outputs of a new config begin when those of the old one have ended, on the same file too', async () => {
  await using my = await place();
  await using run = running(my.folder);
  const slow = my.output({ check: hangs, timeoutMs: 600_000 });
  run.outputs.show([slow], view('web'));
  await until('the check runs', async () => (await my.beside().catch((): string[] => [])).includes('.hosts.candidate'));
  run.outputs.show([my.output()], view('web'));
  await run.outputs.settled();
  assert.equal(await my.read(), 'web');
  assert.deepEqual(await my.beside(), ['hosts']);
});

test('a template that fails on its data leaves the last good file', async () => {
  await using my = await place();
  await using run = running(my.folder);
  const render: Output['render'] = ({ endpoints }) => {
    if (endpoints.has('bad')) throw new Error('"x" is not an IPv4 or IPv6 address');
    return 'good';
  };
  const outputs = [my.output({ render })];
  run.outputs.show(outputs, view('web'));
  await run.outputs.settled();
  run.outputs.show(outputs, view('web', 'bad'));
  await run.outputs.settled();
  assert.equal(await my.read(), 'good');
  const [state] = run.outputs.states;
  assert.ok(state?.state.kind === 'failed' && state.state.step === 'template');
  assert.equal(state.state.error.message, 'output hosts: "x" is not an IPv4 or IPv6 address');
  run.outputs.show(outputs, view('web'));
  await run.outputs.settled();
  assert.deepEqual(
    run.events.map(({ kind }) => kind),
    ['output_written', 'output_failed', 'output_recovered'],
  );
});
