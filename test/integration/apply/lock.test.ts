/** The lock of the state folder among real processes. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { acquireLock } from '../../../src/apply/system/lock.ts';
import { identifyProcess } from '../../../src/apply/system/processes.ts';
import { tempFolder, until } from '../../support/index.ts';

const module = resolve(import.meta.dirname, '../../../src/apply/system/lock.ts');

test('a lock held by another process is refused with its pid, and free once that process was killed', async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'state/lock');
  const holder = start(`await acquireLock(${JSON.stringify(lock)}); console.log('held'); setInterval(() => {}, 1000)`);
  await once(holder.stdout, 'data');
  await assert.rejects(acquireLock(lock), {
    code: 'MYELIN_LOCKED',
    message: `the state folder ${folder.path}/state is in use by another Myelin (pid ${holder.pid})`,
  });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await using _ = await acquireLock(lock);
  assert.equal((await readdir(lock)).length, 1, 'the dead one’s claim is gone');
});

test('a state folder with files of another user is refused with what is to be done', {
  skip: process.getuid?.() !== 0 && 'needs root to be another user for a moment',
}, async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'lock');
  await (await acquireLock(lock))[Symbol.asyncDispose]();
  await chmod(folder.path, 0o755);
  process.seteuid?.(65_534);
  try {
    await assert.rejects(acquireLock(lock), {
      code: 'MYELIN_WRITE_FAILED',
      remedy: `give ${folder.path} and all that is in it to the user who runs Myelin; whoever ran it as another left files`,
    });
  } finally {
    process.seteuid?.(0);
  }
});

test('a claim whose pid is in use again by another process counts for nothing', async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'lock');
  await (await acquireLock(lock))[Symbol.asyncDispose]();
  await writeFile(join(lock, `${process.ppid}-1`), '');
  await using _ = await acquireLock(lock);
});

test('an older Myelin holds the lock against this one, and this one against it', async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'lock');
  const older = start('setInterval(() => {}, 1000)');
  await once(older, 'spawn');
  const nameOf = (pid: number): string => {
    const { startTime } = identifyProcess(pid) ?? assert.fail('it does not run');
    return `${pid}-${encodeURIComponent(startTime)}`;
  };
  await mkdir(lock);
  // It claims with an empty file, and knows the claims of others by this name alone.
  await writeFile(join(lock, nameOf(older.pid ?? 0)), '');
  await assert.rejects(acquireLock(lock), { code: 'MYELIN_LOCKED' });
  assert.deepEqual(await readdir(lock), [nameOf(older.pid ?? 0)], 'its claim stays');
  older.kill('SIGKILL');
  await once(older, 'exit');
  await using _ = await acquireLock(lock);
  assert.deepEqual(await readdir(lock), [nameOf(process.pid)]);
});

test('a lock is held against a process that numbers its processes anew, as in another container', {
  skip:
    spawnSync('unshare', ['-rpf', 'true']).status === 0 ? false : 'this needs `unshare -rpf` (Linux, user namespaces)',
}, async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'lock');
  const holding = `await acquireLock(${JSON.stringify(lock)}); console.log('held'); setInterval(() => {}, 1000)`;
  const holder = start(holding, ['unshare', '-rpf', '--kill-child', '--mount-proc']);
  await once(holder.stdout, 'data');
  const trying = `await acquireLock(${JSON.stringify(lock)}).catch((error) => console.log(error.message))`;
  for (const container of [[], ['unshare', '-rpf', '--mount-proc']]) {
    const [words] = await once(start(trying, container).stdout, 'data');
    assert.match(String(words), /is in use by another Myelin/);
  }
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await using _ = await until('it is free', () => acquireLock(lock));
});

test('a lock is held by a Myelin that hangs, and its folder may have a long path', async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'a-folder-with-a-long-name/'.repeat(6), 'lock');
  const holder = start(`await acquireLock(${JSON.stringify(lock)}); console.log('held'); setInterval(() => {}, 1000)`);
  await once(holder.stdout, 'data');
  holder.kill('SIGSTOP');
  await assert.rejects(acquireLock(lock), { code: 'MYELIN_LOCKED' });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await using _ = await acquireLock(lock);
});

test('of many that start at once never two hold the lock', async () => {
  await using folder = await tempFolder();
  const lock = join(folder.path, 'lock');
  const program = `
    process.stdin.once('data', async () => {
      const held = await acquireLock(${JSON.stringify(lock)}).then(() => 'held', (error) => error.code);
      console.log(held);
      process.stdin.once('data', () => process.exit());
    });
    console.log('ready');`;
  const contenders = Array.from({ length: 6 }, () => start(program));
  await Promise.all(contenders.map(({ stdout }) => once(stdout, 'data')));
  const answers = contenders.map(({ stdout }) => once(stdout, 'data'));
  for (const { stdin } of contenders) stdin.write('go\n');
  const results = (await Promise.all(answers)).map(([data]) => String(data).trim());
  assert.ok(results.filter((result) => result === 'held').length <= 1, results.join(' '));
  assert.ok(
    results.every((result) => result === 'held' || result === 'MYELIN_LOCKED'),
    results.join(' '),
  );
  for (const each of contenders) each.stdin.write('end\n');
  await Promise.all(contenders.map((each) => once(each, 'exit')));
  await using _ = await acquireLock(lock);
});

function start(program: string, container: readonly string[] = []) {
  const code = `const { acquireLock } = await import(${JSON.stringify(module)});\n${program}`;
  const [command = '', ...args] = [...container, process.execPath, '--input-type=module', '-e', code];
  return spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
}
