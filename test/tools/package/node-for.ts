/** Node for each architecture, of the version that the repository's scripts use, from npm's registry. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import lock from '../node/package.json' with { type: 'json' };
import { run } from './run.ts';

const versions: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(lock.optionalDependencies).map(([name, version]) => [name.replace('node-linux-', ''), version]),
);

export const architectures: readonly string[] = Object.keys(versions);

/** The path of its executable, which is fetched into `folder` unless it is installed here. */
export async function nodeFor(arch: string, folder: string): Promise<string> {
  const version = versions[arch];
  if (version === undefined)
    throw new Error(`there is no Node for ${arch}; the architectures are ${architectures.join(', ')}`);
  const name = `node-linux-${arch}`;
  const installed = resolve(import.meta.dirname, `../node/node_modules/${name}/bin/node`);
  if (existsSync(installed)) return installed;
  await run('npm', ['pack', '--silent', '--pack-destination', folder, `${name}@${version}`]);
  await run('tar', ['-xzf', join(folder, `${name}-${version}.tgz`), '-C', folder, 'package/bin/node']);
  return join(folder, 'package/bin/node');
}
