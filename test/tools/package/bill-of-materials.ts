/** Which packages are in what is published (CycloneDX). */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import ours from '#package.json' with { type: 'json' };
import { run } from './run.ts';

const root = resolve(import.meta.dirname, '../../..');

type Bill = { readonly components: readonly Component[]; readonly dependencies: readonly Dependency[] };
type Component = { readonly 'bom-ref': string };
type Dependency = { readonly ref: string; readonly dependsOn: readonly string[] };

/** Its name in `folder`. npm says what is installed; what is in the bundle stands beside it, by its licences. */
export async function writeBillOfMaterials(folder: string): Promise<string> {
  const licences = await readFile(join(root, 'dist/LICENSES'), 'utf8');
  const bundled = new Set(
    [...licences.matchAll(/^(\S+) (\d\S*) \(.+\)$/gm)].map(([, name, version]) => `${name}@${version}`),
  );
  const bill = JSON.parse(await run('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'])) as Bill;
  const isIn = (ref: string): boolean => bundled.has(ref) || ref === `myelin@${ours.version}`;
  const components = bill.components.filter((component) => isIn(component['bom-ref']));
  const missing = bundled.size - components.length;
  if (missing !== 0) throw new Error(`${missing} packages of the bundle are not in npm's bill of materials`);
  const dependencies = bill.dependencies
    .filter(({ ref }) => isIn(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isIn) }));
  const name = `myelin-${ours.version}.cdx.json`;
  await writeFile(join(folder, name), `${JSON.stringify({ ...bill, components, dependencies }, null, 2)}\n`);
  return name;
}
