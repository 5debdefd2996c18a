/** The file watcher on a real file system: each way in which people and tools change files is seen, and soon. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, unlinkSync } from 'node:fs';
import { chmod, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { hints } from '../../../../watchers/file/folders.ts';
import { parseServices } from '../../../../watchers/file/parse.ts';
import { watchFile } from '../../../../watchers/file/watch.ts';
import { type Listening, listen } from '../../../../watchers/public/listen.ts';
import { tempFolder, until } from '../../../support/index.ts';

function follow(path: string, services: readonly string[] = ['web']): Listening {
  const watch = watchFile({ path });
  const queries = services.map((key) => ({ key, settings: {} }));
  return listen((signal) => watch(queries, signal));
}

function text(...ports: readonly number[]): string {
  return `services:\n  web: [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}]\n`;
}

function served(heard: Listening): string {
  return heard.served('web')?.join(' ').replaceAll('127.0.0.1:', '') ?? 'nothing yet';
}

/** Of the newest answer about `web`. */
function leftOut(heard: Listening): string {
  const last = heard.said.findLast((event) => event.kind === 'endpoints' && event.key === 'web');
  return last?.kind === 'endpoints' ? (last.unreadable ?? []).map(({ reason }) => reason).join('\n') : '';
}

/** A file with the server 1, which is followed and served. */
async function followedFile(): Promise<
  AsyncDisposable & { readonly folder: string; readonly path: string; readonly heard: Listening }
> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder()).path;
  const path = join(folder, 'services.yaml');
  await writeFile(path, text(1));
  const heard = stack.use(follow(path));
  await isServed(heard, '1');
  const kept = stack.move();
  return { folder, path, heard, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function isServed(heard: Listening, ports: string): Promise<void> {
  await until(`${ports} is served`, () => served(heard) === ports && heard.staleReason('web') === null);
}

test('a file that is replaced or written in place is read again, each time', async () => {
  await using file = await followedFile();
  const { path, heard } = file;
  for (let port = 2; port < 12; port += 2) {
    await writeFile(`${path}.new`, text(port));
    await rename(`${path}.new`, path);
    await isServed(heard, `${port}`);
    await writeFile(path, text(port + 1));
    await isServed(heard, `${port + 1}`);
  }
});

test('a change is seen in a fraction of the time between two polls', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  await writeFile(path, text(0 + 1));
  await using heard = follow(path);
  await isServed(heard, '1');
  const startedAt = performance.now();
  for (let port = 2; port <= 11; port++) {
    await writeFile(path, text(port));
    await isServed(heard, `${port}`);
  }
  const each = (performance.now() - startedAt) / 10;
  assert.ok(each < 500, `${Math.round(each)} ms a change`);
});

test('a ConfigMap is followed through its symbolic links, as kubelet swaps them', async () => {
  await using folder = await tempFolder();
  const at = (name: string): string => join(folder.path, name);
  const publish = async (version: number, ports: number): Promise<void> => {
    await mkdir(at(`..v${version}`));
    await writeFile(at(`..v${version}/services.yaml`), text(ports));
    await symlink(`..v${version}`, at('..data_tmp'));
    await rename(at('..data_tmp'), at('..data'));
    if (version > 1) await rm(at(`..v${version - 1}`), { recursive: true });
  };
  await publish(1, 1);
  await symlink('..data/services.yaml', at('services.yaml'));
  await using byFile = follow(at('services.yaml'));
  await using byFolder = follow(folder.path);
  for (let version = 2; version < 6; version++) {
    await publish(version, version);
    await isServed(byFile, `${version}`);
    await isServed(byFolder, `${version}`);
  }
  assert.equal(byFile.count('gone'), 0);
});

test('a link anywhere on the way may be pointed elsewhere, and the file that it points to changed', async () => {
  await using folder = await tempFolder();
  const at = (name: string): string => join(folder.path, name);
  for (const release of [1, 2]) {
    await mkdir(at(`release-${release}/conf`), { recursive: true });
    await writeFile(at(`release-${release}/conf/services.yaml`), text(release));
  }
  await symlink('release-1', at('current'));
  await using heard = follow(at('current/conf/services.yaml'));
  await isServed(heard, '1');
  await symlink(at('release-2'), at('next'));
  await rename(at('next'), at('current'));
  await isServed(heard, '2');
  await writeFile(at('release-2/conf/services.yaml'), text(3));
  await isServed(heard, '3');
});

test('a link that is removed and made anew all the time never fails the source', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  await writeFile(join(folder.path, 'one.yaml'), text(1));
  await symlink('one.yaml', path);
  await using heard = follow(path);
  await isServed(heard, '1');
  const end = performance.now() + 1500;
  await until(
    'it was made anew for a while',
    () => {
      unlinkSync(path);
      symlinkSync('one.yaml', path);
      return performance.now() > end;
    },
    { everyMs: 0 },
  );
  await isServed(heard, '1');
  assert.equal(heard.error, undefined);
  assert.ok(heard.said.every((event) => event.kind !== 'endpoints' || event.endpoints.length === 1));
});

test('a log in the same folder, written all the time, costs little and holds up nothing', async () => {
  await using file = await followedFile();
  const { path, heard } = file;
  const log = spawn(process.execPath, ['-e', neverendingLog, join(file.folder, 'log')], { stdio: 'ignore' });
  try {
    await until('the log is written', () => stat(join(file.folder, 'log')));
    const before = process.cpuUsage();
    const startedAt = performance.now();
    for (let port = 2; port < 6; port++) {
      await writeFile(path, text(port));
      await isServed(heard, `${port}`);
      const end = performance.now() + 250;
      await until('a while has passed', () => performance.now() > end);
    }
    const share =
      (process.cpuUsage(before).user + process.cpuUsage(before).system) / 1000 / (performance.now() - startedAt);
    assert.ok(share < 0.5, `${Math.round(share * 100)} % of a processor`);
  } finally {
    log.kill('SIGKILL');
    await once(log, 'exit');
  }
});

/** A line a millisecond. */
const neverendingLog = "setInterval(() => fs.appendFileSync(process.argv[1], 'line\\n'), 1)";

test('a file and its folder may come later, go and come again; meanwhile the last endpoints stay', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'a/b/services.yaml');
  await using heard = follow(path);
  await until('its absence is told', () => /cannot read .*ENOENT/.test(heard.staleReason('web') ?? ''));
  assert.equal(heard.count('synced'), 0);
  for (const port of [1, 2]) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text(port));
    await isServed(heard, `${port}`);
    await rm(join(folder.path, 'a'), { recursive: true });
    await until('its absence is told', () => /cannot read/.test(heard.staleReason('web') ?? ''));
    assert.equal(served(heard), `${port}`);
  }
});

test('an invalid file keeps the last endpoints, says where it is wrong, and is believed once it is mended', async () => {
  await using file = await followedFile();
  const { path, heard } = file;
  await writeFile(path, 'services:\n  web:\n    - 127.0.0.1\n');
  await until('the place is told', () => heard.staleReason('web')?.startsWith(`${path}:3:7: `));
  assert.equal(served(heard), '1');
  await writeFile(path, text(2));
  await isServed(heard, '2');
});

test('a wrong entry is left out alone, at the start and later, and the others of its service and file are followed', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  const wrong = '    - { address: 127.0.0.1, port: 9, weight: 257 }\n  db: [ "127.0.0.1:5" ]\n';
  await writeFile(path, `services:\n  web:\n    - 127.0.0.1:1\n${wrong}`);
  await using heard = follow(path, ['web', 'db']);
  await until('synced', () => heard.count('synced') === 1);
  await isServed(heard, '1');
  assert.equal(leftOut(heard), `${path}:4:46: services.web[1].weight: expected a weight, a whole number from 0 to 256`);
  await writeFile(path, `services:\n  web:\n    - 127.0.0.1:2\n${wrong.replace(':5', ':6')}`);
  await isServed(heard, '2');
  await until('db is followed', () => heard.served('db')?.join() === '127.0.0.1:6');
});

test('a file of thousands of services is read beside the rest, and once a change', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  const many = Array.from({ length: 5000 }, (_, at) => `  s${at}: ["10.0.0.1:80", "10.0.0.2:80"]\n`).join('');
  await writeFile(path, text(1) + many);
  await using heard = follow(path);
  await isServed(heard, '1');
  const stalls = monitorEventLoopDelay({ resolution: 5 });
  stalls.enable();
  await writeFile(`${path}.new`, text(2) + many);
  await rename(`${path}.new`, path);
  await isServed(heard, '2');
  stalls.disable();
  const parsedHere = parsingMs(text(2) + many);
  const longest = stalls.max / 1e6;
  assert.ok(longest < parsedHere, `held up for ${Math.round(longest)} ms, parsing takes ${Math.round(parsedHere)} ms`);
});

function parsingMs(content: string): number {
  const startedAt = performance.now();
  parseServices('f', content);
  return performance.now() - startedAt;
}

test('a file that takes long to parse holds up none beside it, however often it is written', async () => {
  await using folder = await tempFolder();
  const at = (name: string): string => join(folder.path, name);
  await writeFile(at('10-web.yaml'), text(1));
  await using heard = follow(folder.path, ['web', 'slow']);
  await isServed(heard, '1');
  const entries = (port: number): string => `    - { address: 127.0.0.1, port: ${port}, weight: 5 }\n`.repeat(20_000);
  for (let port = 2; port < 12; port++) {
    await writeFile(at('20-slow.yaml'), `services:\n  slow:\n${entries(port)}`);
    await writeFile(at('10-web.yaml'), text(port));
    await isServed(heard, `${port}`);
  }
  await until('the last one counts', () => heard.served('slow')?.at(-1) === '127.0.0.1:11', { withinMs: 120_000 });
});

test('in a folder each file stands for itself: one is added, broken, removed', async () => {
  await using folder = await tempFolder();
  const at = (name: string): string => join(folder.path, name);
  await writeFile(at('web.yaml'), text(1));
  await writeFile(at('notes.txt'), 'services: [');
  await using heard = follow(folder.path, ['web', 'db']);
  await until('synced', () => heard.count('synced') === 1);
  assert.deepEqual(heard.served('db'), []);
  await writeFile(at('db.json'), '{ "services": { "db": ["127.0.0.1:7"] } }');
  await until('db is served', () => heard.served('db')?.join() === '127.0.0.1:7');
  await writeFile(at('web.yaml'), 'services: [');
  await until('web is stale', () => heard.staleReason('web') !== null);
  await writeFile(at('db.json'), '{ "services": { "db": ["127.0.0.1:8"] } }');
  await until('db is followed', () => heard.served('db')?.join() === '127.0.0.1:8');
  assert.deepEqual(heard.served('web'), ['127.0.0.1:1']);
  await writeFile(at('web.yaml'), text(2));
  await writeFile(at('zone.yml'), text(3));
  await until('the other file is told', () =>
    /zone\.yml:2:3: services\.web counts as .*web\.yaml has it/.test(leftOut(heard)),
  );
  assert.deepEqual(heard.served('web'), ['127.0.0.1:2']);
  await rm(at('zone.yml'));
  await until('nothing is left out', () => leftOut(heard) === '');
  await isServed(heard, '2');
  await rm(at('web.yaml'));
  await until('web has nobody', () => heard.served('web')?.length === 0);
  await rm(at('db.json'));
  await until('an emptied folder is doubted', () => /holds no/.test(heard.staleReason('db') ?? ''));
  assert.deepEqual(heard.served('db'), ['127.0.0.1:8']);
});

test('a pipe that nobody writes to is told, and holds up neither the files beside it nor the end', async () => {
  await using folder = await tempFolder();
  const at = (name: string): string => join(folder.path, name);
  execFileSync('mkfifo', [at('pipe.yaml')]);
  await writeFile(at('web.yaml'), text(1));
  const heard = follow(folder.path, ['web', 'db']);
  await isServed(heard, '1');
  await until('the pipe is told', () => /pipe\.yaml/.test(heard.staleReason('db') ?? ''));
  await writeFile(at('web.yaml'), text(2));
  await isServed(heard, '2');
  await heard.stop();
});

test('a file without permission keeps the last endpoints and says so', { skip: process.getuid?.() === 0 }, async () => {
  await using file = await followedFile();
  const { path, heard } = file;
  await chmod(path, 0);
  await until('it is told', () => /EACCES/.test(heard.staleReason('web') ?? ''));
  await chmod(path, 0o600);
  await isServed(heard, '1');
});

test('where the kernel tells nothing, a file is looked at from time to time', async () => {
  await using folder = await tempFolder();
  const stop = new AbortController();
  const heard: string[] = [];
  for await (const hint of hints(join(folder.path, 'services.yaml'), stop.signal, 10)) {
    heard.push(hint);
    if (heard.length === 3) stop.abort();
  }
  assert.deepEqual(heard, ['event', 'poll', 'poll']);
});
