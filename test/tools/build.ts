/** `npm run build`: the package as it is published, in `dist`; Node does not strip types below `node_modules`. */
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
for (const args of [
  ['tsc', '-p', 'tsconfig.build.json'],
  // For authors of a watcher of their own.
  ['tsc', '-p', 'tsconfig.types.json'],
  ['publint', '--strict'],
]) {
  const [command = '', ...rest] = args;
  if (spawnSync(command, rest, { stdio: 'inherit' }).status !== 0) process.exit(1);
  if (command === 'tsc') chmodSync('dist/src/cli.js', 0o755);
}
