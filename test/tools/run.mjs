// Runs one of the repository's TypeScript programs on Node 24 or newer, whatever Node started us.
// Plain JavaScript on purpose: this file must run on the old Node of a fresh machine. It installs what the
// lock files name (node packages, and a Node 24 where the machine's is older) and then steps aside.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const requiredMajor = 24;
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const nodeFolder = join(root, 'test/tools/node');

installPackages(root);
const node = findNode();
const [program, ...args] = process.argv.slice(2);
if (program === undefined) fail('usage: node test/tools/run.mjs PROGRAM [ARGUMENT…]');

const child = spawn(node, ['--disable-warning=ExperimentalWarning', resolve(root, program), ...args], {
  stdio: 'inherit',
  env: {
    ...process.env,
    PATH: [dirname(node), join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
    MYELIN_LAUNCHER: `${process.pid}`,
  },
});
// The terminal sends Ctrl-C to the whole group; a supervisor signals only us: hand it on and wait either way.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}
// Nobody hands on SIGKILL: where npm is gone, nobody waits for the program any more. Scripts begin with `exec`: a shell in
// between would keep to itself what npm is told, and live on without it.
const { ppid } = process;
if (process.env.npm_lifecycle_event !== undefined) {
  const timer = setInterval(() => {
    if (process.ppid === ppid) return;
    clearInterval(timer);
    child.kill('SIGTERM');
  }, 500);
}
child.on('error', (error) => fail(`${node} could not be started: ${error.message}`));
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});

function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= requiredMajor) return process.execPath;
  installPackages(nodeFolder);
  const path = join(nodeFolder, `node_modules/node-linux-${process.arch}/bin/node`);
  if (existsSync(path)) return path;
  fail(
    `Node ${requiredMajor} or newer is needed and this is ${process.version} on ${process.platform}-${process.arch}, ` +
      'for which no packaged Node is known. Install Node 24 (https://nodejs.org) and run the command again.',
  );
}

/** `npm ci`, unless the installed packages are already those of the lock file. */
function installPackages(folder) {
  const installed = join(folder, 'node_modules/.package-lock.json');
  const lock = join(folder, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  process.stderr.write(`installing node packages in ${folder}\n`);
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    stdio: ['ignore', process.stderr, process.stderr],
  });
  if (npm.error) fail(`npm could not be started (${npm.error.message}); install npm and run the command again`);
  if (npm.status !== 0) fail(`npm ci failed in ${folder} (exit status ${npm.status}); the lines above say why`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
