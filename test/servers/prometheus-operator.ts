/** What a cluster with the Prometheus operator knows of ServiceMonitors, from the operator's own Go module. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { runCommand } from '../../src/lib/command.ts';
import { cacheFolder } from './cache.ts';
import { provided } from './provided.ts';

const version = '0.83.0';
const file = 'monitoring.coreos.com_servicemonitors.yaml';
const downloaded = z.object({ Dir: z.string() });

/** The CustomResourceDefinition; fetched once and kept. */
export async function serviceMonitorDefinition(): Promise<object> {
  const text = await readFile(await definitionFile(), 'utf8');
  return z.looseObject({ kind: z.literal('CustomResourceDefinition') }).parse(parse(text));
}

const definitionFile = provided('ServiceMonitor', async () => {
  const path = join(await cacheFolder(), `prometheus-operator-${version}`, file);
  if (!existsSync(path)) await fetchInto(path);
  return path;
});

async function fetchInto(path: string): Promise<void> {
  const module = `github.com/prometheus-operator/prometheus-operator@v${version}`;
  // Go says in its answer what went wrong.
  const { status, stdout, stderr } = await runCommand(['go', 'mod', 'download', '-json', module], {
    timeoutMs: 300_000,
    env: process.env,
  }).catch((cause: unknown) => {
    throw new Error('the tests need go in PATH to fetch the definition of ServiceMonitor', { cause });
  });
  if (status !== 0) throw new Error(`${module} could not be fetched: ${stdout}${stderr}`);
  const { Dir } = downloaded.parse(JSON.parse(stdout));
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  await copyFile(join(Dir, 'example/prometheus-operator-crd', file), unfinished);
  await rename(unfinished, path);
}
