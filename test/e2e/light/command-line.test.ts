/** The command line around the commands: what it says of wrong arguments, and of an output that nobody takes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import ours from '#package.json' with { type: 'json' };
import { until } from '../../support/index.ts';
import { cli } from '../../support/sites/cli.ts';
import { site } from '../../support/sites/site.ts';

test('every command shows the options that all have', async () => {
  for (const command of ['run', 'plan', 'status']) {
    const { exitCode, stdout } = await run([command, '--help']);
    assert.equal(exitCode, 0);
    assert.match(stdout, /--config <file>/);
  }
});

test('the version is told in each of the usual ways', async () => {
  const answers = await Promise.all(['--version', '-v', 'version'].map((how) => run([how])));
  for (const { exitCode, stdout } of answers) {
    assert.equal(exitCode, 0);
    assert.equal(stdout, `${ours.version}\n`);
  }
});

test('the config is the one that MYELIN_CONFIG names, unless --config names another', async () => {
  const env = { ...process.env, MYELIN_CONFIG: '/named/in/the/environment.yaml' };
  const inEnvironment = await run(['check'], { env });
  assert.match(inEnvironment.stderr, /\/named\/in\/the\/environment\.yaml/);
  const byOption = await run(['check', '--config', '/named/by/the/option.yaml'], { env });
  assert.match(byOption.stderr, /\/named\/by\/the\/option\.yaml/);
});

test('a wrong number is refused by the name of its option, with what is allowed', async () => {
  for (const [option, value, range] of [
    ['--seconds', 'abc', '1 to 86400'],
    ['--seconds', '0', '1 to 86400'],
    ['--port-base', '99999', '1 to 65535'],
  ] as const) {
    const { exitCode, stderr } = await run(['demo', option, value]);
    assert.equal(exitCode, 2);
    assert.match(
      stderr,
      new RegExp(`^error: option '${option} .*' argument '${value}' is invalid\\. .*, ${range}\\.$`, 'm'),
    );
  }
});

test('a result that cannot be written is no success', async () => {
  await using full = await open('/dev/full', 'w');
  const { exitCode, stderr } = await run(['schema'], { out: full.fd });
  assert.equal(exitCode, 1);
  assert.match(stderr, /^error: the result could not be written: ENOSPC: [^\n]*\n$/);
});

test('who reads a result may leave before its end', async () => {
  const child = spawn(process.execPath, [cli, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(stderr, '');
});

test('while the config on disk is broken, the Myelin that runs is asked and told all the same', async () => {
  await using my = await site();
  const { place } = my;
  await my.serve('alpha');
  for (const rest of [[], ['admin: { socket: run/other.sock }']]) {
    await my.configure({ rest });
    const myelin = place.run();
    const told = (what: RegExp): Promise<unknown> =>
      until(`the status has ${what}`, async () => what.test((await place.command('status')).stdout), {
        withinMs: 15_000,
      });
    await told(/, ready, /);
    await my.configure({ web: ['ballance: roundrobin'], rest });
    await told(/^ {2}config +refused .*services\.web\.ballance: unknown key/m);
    const reloaded = await place.command('reload');
    assert.deepEqual([reloaded.exitCode, reloaded.stderr], [0, '']);
    const stopping = await place.command('stop');
    assert.deepEqual([stopping.exitCode, stopping.stderr], [0, '']);
    assert.match(stopping.stdout, /^myelin is stopping\n/);
    assert.equal(await myelin.ended, 0, myelin.output);
    const { exitCode, stderr } = await place.command('status');
    assert.equal(exitCode, 3);
    assert.match(stderr, /services\.web\.ballance: unknown key/);
  }
});

async function run(
  args: readonly string[],
  { out = 'pipe', env = process.env }: { readonly out?: 'pipe' | number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', out, 'pipe'], env });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.on('data', (chunk: Buffer) => {
      texts[name] += chunk.toString('utf8');
    });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, ...texts };
}
