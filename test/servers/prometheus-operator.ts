/** What a cluster with the Prometheus operator knows of ServiceMonitors and PrometheusRules, from the operator's own Go module. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { runCommand } from '../../src/lib/command.ts';
import { cacheFolder } from './cache.ts';
import { provided } from './provided.ts';

const version = '0.83.0';
const files = ['monitoring.coreos.com_servicemonitors.yaml', 'monitoring.coreos.com_prometheusrules.yaml'];
const downloaded = z.object({ Dir: z.string() });

/** The CustomResourceDefinitions; fetched once and kept. */
export async function operatorDefinitions(): Promise<readonly object[]> {
  const folder = await definitionsFolder();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts.map((text) => z.looseObject({ kind: z.literal('CustomResourceDefinition') }).parse(parse(text)));
}

const definitionsFolder = provided('definitions of the Prometheus operator', async () => {
  const folder = join(await cacheFolder(), `prometheus-operator-${version}`);
  if (files.some((file) => !existsSync(join(folder, file)))) await fetchInto(folder);
  return folder;
});

async function fetchInto(folder: string): Promise<void> {
  const module = `github.com/prometheus-operator/prometheus-operator@v${version}`;
  // Go says in its answer what went wrong.
  const { status, stdout, stderr } = await runCommand(['go', 'mod', 'download', '-json', module], {
    timeoutMs: 300_000,
    env: process.env,
  }).catch((cause: unknown) => {
    throw new Error('the tests need go in PATH to fetch the definitions of the Prometheus operator', { cause });
  });
  if (status !== 0) throw new Error(`${module} could not be fetched: ${stdout}${stderr}`);
  const { Dir } = downloaded.parse(JSON.parse(stdout));
  await mkdir(folder, { recursive: true });
  for (const file of files) {
    const unfinished = join(folder, `${file}.${process.pid}`);
    await copyFile(join(Dir, 'example/prometheus-operator-crd', file), unfinished);
    await rename(unfinished, join(folder, file));
  }
}
