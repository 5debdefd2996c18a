import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const module = JSON.stringify(new URL('../../../src/report/log.ts', import.meta.url).href);
const errors = JSON.stringify(new URL('../../../src/errors.ts', import.meta.url).href);

/** A program that logs, as its own process: what is tested is what reaches its stdout and stderr. */
function program(body: string, options: Record<string, unknown> = {}): string[] {
  const { destination = 1, ...style } = { level: 'info', format: 'json', ...options };
  return [
    '--input-type=module',
    '--eval',
    `import { createLog } from ${module};
     import { AppError } from ${errors};
     const tell = (kind, facts = {}, isRepeat = false) => log.tell({ kind, ...facts }, isRepeat);
     let style = ${JSON.stringify(style)};
     let secrets = ['s3cret"token', 'other\\\\token'];
     const log = createLog({ style: () => style, destination: ${destination}, secrets: () => secrets });
     ${body}`,
  ];
}

async function logged(body: string, options?: Record<string, unknown>): Promise<string> {
  return (await run(process.execPath, program(body, options))).stdout;
}

test('a line of JSON has time, level, kind, message and facts', async () => {
  const line = JSON.parse(
    await logged(`tell('source_failed', { watcher: 'consul', reason: 'EOF', retryInMs: 5.4, hasAnswered: true })`),
  );
  assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  delete line.time;
  assert.deepEqual(line, {
    level: 'warn',
    app: 'myelin',
    kind: 'source_failed',
    watcher: 'consul',
    reason: 'EOF',
    retryInMs: 5,
    hasAnswered: true,
    msg: 'source failed; retrying',
  });
});

test('what is below the level is not logged, and stderr can be chosen', async () => {
  const { stdout, stderr } = await run(
    process.execPath,
    program(`tell('reload_started', { reasons: [] }); log.trace({}, 'quiet'); tell('stopped')`, { destination: 2 }),
  );
  assert.equal(stdout, '');
  assert.match(stderr, /^\{.*"msg":"Myelin stopped"\}\n$/);
});

test('level and format may change while it runs', async () => {
  const body = `tell('started'); style = { level: 'error', format: 'json' }; tell('started'); style = { level: 'info', format: 'pretty' }; tell('stopped')`;
  assert.match(await logged(body), /^\{.*"msg":"Myelin started"\}\n[\d:.]+ INFO {2}Myelin stopped\n$/);
});

test('what is told again, and has not changed, is logged at debug', async () => {
  const body = `for (const isRepeat of [false, true]) tell('drift_found', { drift: [] }, isRepeat)`;
  const levels = async (level: string) =>
    [...(await logged(body, { level })).matchAll(/"level":"(\w+)"/g)].map(([, found]) => found);
  assert.deepEqual(await levels('info'), ['warn']);
  assert.deepEqual(await levels('debug'), ['warn', 'debug']);
});

for (const format of ['json', 'pretty'])
  test(`no secret is logged, wherever it stands (${format})`, async () => {
    const text = await logged(
      `const token = secrets[0];
       tell('started', { a: { b: { c: { token } } } });
       tell('started', { [token]: 1, list: [[token]], text: 'in a text: ' + token });
       tell('trouble', { error: new Error('GET /v1?token=' + encodeURIComponent(token), { cause: new Error(token) }) });
       tell('trouble', { error: Object.assign(new AppError('MYELIN_USAGE', 'x', { remedy: token }), { request: { headers: { 'x-consul-token': token } } }) });
       tell('started', { body: JSON.stringify({ token }), twice: JSON.stringify(JSON.stringify({ token: secrets[1] })) });
       log.trace({ token }, 'bound ' + token);
       secrets = ['rotated-token'];
       tell('started', { token: 'rotated-token' });`,
      { format, level: 'trace' },
    );
    assert.equal(text.match(/\*\*\*/g)?.length, 16 - (format === 'pretty' ? 4 : 0), text);
    assert.doesNotMatch(text, /s3cret|other\\*token|rotated-token/);
  });

test('for machines an error has its code and causes, and the stack of a bug', async () => {
  const text = await logged(
    `tell('trouble', { error: new AppError('MYELIN_USAGE', 'cannot reload', { cause: new Error('no socket') }) });
     tell('trouble', { error: new TypeError('x is undefined') });`,
  );
  const [ours, bug] = text.split('\n', 2).map((line) => (JSON.parse(line) as { err: Record<string, unknown> }).err);
  assert.deepEqual(
    [ours?.type, ours?.code, ours?.message, ours?.stack],
    ['AppError', 'MYELIN_USAGE', 'cannot reload: no socket', undefined],
  );
  assert.match(String(bug?.stack), /^TypeError: x is undefined\n +at /);
});

test('a cause that the message quotes already is not told twice, for machines and for people', async () => {
  for (const format of ['json', 'pretty'] as const) {
    const text = await logged(
      `tell('trouble', { error: new AppError('MYELIN_USAGE', 'cannot reload: no socket', { cause: new Error('no socket') }) });`,
      { format },
    );
    assert.equal(text.split('no socket').length, 2, text);
  }
});

test('for people an error is its message with its causes, and the stack of a bug', async () => {
  const text = await logged(
    `tell('request_failed', { error: new AppError('MYELIN_USAGE', 'cannot reload', { cause: new Error('no socket') }) });
     tell('request_failed', { error: new (class ConfigError extends AppError {})('MYELIN_CONFIG_INVALID', 'unknown key') });
     tell('request_failed', { error: new TypeError('x is undefined') });`,
    { format: 'pretty' },
  );
  assert.match(
    text,
    /ERROR HTTP .* code=MYELIN_USAGE err="cannot reload: no socket"\n\S+ ERROR HTTP .* err="unknown key"\n\S+ ERROR HTTP .* err="x is undefined"\n {4}at /,
  );
});

const endless = `for (let i = 0; i < 3000; i++) tell('started', { i, filler: 'x'.repeat(5000) });
  process.stderr.write('alive');`;

/** The exit code and stderr of a process that logs much. */
async function outcome(stdout: 'pipe' | number, more = ''): Promise<readonly [number | null, string]> {
  const child = spawn(process.execPath, program(more + endless), { stdio: ['ignore', stdout, 'pipe'] });
  const closed = once(child, 'close');
  // Paused, the pipe fills up; destroyed, it is broken.
  if (more === '') child.stdout?.destroy();
  else child.stdout?.pause();
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk;
    child.stdout?.destroy();
  });
  const [code] = (await closed) as [number | null];
  return [code, stderr];
}

test('a full disk under the log ends nothing', async () => {
  await using disk = await open('/dev/full', 'w');
  assert.deepEqual(await outcome(disk.fd), [0, 'alive']);
});

test('a reader of the log that goes away ends nothing', async () => {
  assert.deepEqual(await outcome('pipe'), [0, 'alive']);
});

test('a reader of the log that sleeps holds up nothing for long', async () => {
  // Once asked for, stdout is a pipe that does not block.
  assert.deepEqual(await outcome('pipe', 'process.stdout.isTTY;'), [0, 'alive']);
});
