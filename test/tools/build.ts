/** `npm run build`: the package as it is published, in `dist`; Node does not strip types below `node_modules`. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { bundle } from './bundle.ts';

rmSync('dist', { recursive: true, force: true });
await bundle('dist');
for (const [command, ...args] of [
  // For authors of a watcher of their own.
  ['tsc', '-p', 'tsconfig.types.json'],
  ['publint', '--strict'],
] as const)
  if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) process.exit(1);
