/**
 * `npm run package [-- FOLDER] [--arch x64,arm64]`: builds what is published into FOLDER (default: `artifacts`): the package for npm,
 * for each architecture one executable file that needs no Node, what they are made of, and the checksums of all.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import ours from '#package.json' with { type: 'json' };
import { tempFolder } from '../../support/index.ts';
import '../build.ts';
import { installPackage } from '../bundle.ts';
import { writeBillOfMaterials } from './bill-of-materials.ts';
import { writeChecksums } from './checksums.ts';
import { architectures, nodeFor } from './node-for.ts';
import { run } from './run.ts';
import { buildSingleFile } from './single-file.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { arch: { type: 'string', default: architectures.join() } },
});
const folder = resolve(positionals[0] ?? 'artifacts');
await mkdir(folder, { recursive: true });

await using temporary = await tempFolder();
const packaged = join(temporary.path, 'package');
await installPackage(packaged);

const files = [`myelin-${ours.version}.tgz`];
await run('npm', ['pack', '--silent', '--pack-destination', folder]);
for (const arch of values.arch.split(',')) {
  const name = `myelin-${ours.version}-linux-${arch}`;
  await buildSingleFile(packaged, { file: join(folder, name), node: await nodeFor(arch, temporary.path) });
  files.push(name);
}
files.push(await writeBillOfMaterials(folder));
await writeChecksums(folder, files);
for (const name of [...files, 'SHA256SUMS']) process.stdout.write(`${join(folder, name)}\n`);
