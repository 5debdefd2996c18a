/** The executable that needs no Node on the machine: Node's own, with the package in it. */

import { globSync } from 'node:fs';
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from '../../support/index.ts';
import { run } from './run.ts';

/** Node's documentation of single executable applications names it. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Writes `file`. `packaged` is a folder with the package as it is installed, `node` the executable to put it into. */
export async function buildSingleFile(
  packaged: string,
  { file, node }: { readonly file: string; readonly node: string },
): Promise<void> {
  await using folder = await tempFolder();
  const names = globSync(['package.json', 'templates/*.hbs', 'dist/**/*.js'], { cwd: packaged });
  const start = join(import.meta.dirname, 'start.cjs');
  const assets = {
    ...Object.fromEntries(names.map((name) => [name, join(packaged, name)])),
    'start.cjs': start,
    'load.js': join(import.meta.dirname, 'load.js'),
  };
  const output = join(folder.path, 'blob');
  const config = join(folder.path, 'config.json');
  await writeFile(config, JSON.stringify({ main: start, output, assets, disableExperimentalSEAWarning: true }));
  // By the Node that makes it, whatever the processor that it is for.
  await run(process.execPath, ['--experimental-sea-config', config]);
  await copyFile(node, file);
  await run('postject', [file, 'NODE_SEA_BLOB', output, '--sentinel-fuse', fuse]);
  await chmod(file, 0o755);
}
