/**
 * `npm test [-- FILE…]`: provides the real servers, then runs the suites: everything that is quick or light side by side,
 * the end-to-end tests that put load on the machine one file after the other, and on the other versions of HAProxy what
 * depends on them most.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { consulBinary } from '../servers/consul.ts';
import { haproxy, tool } from '../servers/haproxy.ts';
import { helmBinary } from '../servers/helm.ts';
import { kubernetesBinaries } from '../servers/kubernetes.ts';

type Suite = {
  readonly files: readonly string[];
  readonly concurrency: number;
  /** Which HAProxy; else the default one. */
  readonly env?: Readonly<Record<string, string>>;
};

/** Their load leaves room for another file beside them. */
const light =
  /\/(by-hand|command-line|commands|consul-source|drift|faults|file-source|hostile|kubernetes-(?!rollout)[a-z]+|master|operator|servers|start|vanishing)\.test\.ts$/;
const isLight = (file: string): boolean => light.test(file);
const endToEnd = filesIn('e2e');

const suites: readonly Suite[] = [
  { files: filesIn('unit', 'docs', 'contract', 'integration', 'deploy'), concurrency: 2 },
  { files: endToEnd.filter(isLight), concurrency: 2 },
  { files: endToEnd.filter((file) => !isLight(file)), concurrency: 1 },
  {
    files: [
      'admin-session',
      'apply-runtime',
      'master',
      'render-config',
      'runtime-commands',
      'runtime-plan',
      'worker',
    ].map(integration),
    concurrency: 2,
    env: { HAPROXY_BRANCHES: '2.2,3.0,3.2' },
  },
  // Without load: they may run side by side.
  ...['2.2', '3.0', '3.2'].map((branch) => ({
    files: ['test/e2e/servers.test.ts', 'test/e2e/drift.test.ts'],
    concurrency: 2,
    env: { HAPROXY_BRANCH: branch },
  })),
];

const chosen = process.argv.slice(2);
process.stdout.write(`HAProxy: ${await haproxy()}\nConsul: ${await consulBinary()}\nHelm: ${await helmBinary()}\n`);
// Tests in a network of their own can fetch nothing.
for (const name of ['ab', 'wrk'] as const) process.stdout.write(`${name}: ${await tool(name)}\n`);
for (const [name, path] of Object.entries(await kubernetesBinaries())) process.stdout.write(`${name}: ${path}\n`);

const total = { passed: 0, failed: 0, skipped: 0 };
let ok = true;
for (const suite of chosen.length > 0 ? [{ files: chosen, concurrency: 1 }] : suites) ok = (await run(suite)) && ok;
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exit(ok && total.failed === 0 && total.passed > 0 ? 0 : 1);

function filesIn(...folders: readonly string[]): readonly string[] {
  return folders.flatMap((folder) => globSync(`test/${folder}/**/*.test.ts`).sort());
}

function integration(name: string): string {
  return `test/integration/${name}.test.ts`;
}

/** One run of node's test runner; its own totals are shown and added up. */
async function run({ files, concurrency, env = {} }: Suite): Promise<boolean> {
  for (const [name, value] of Object.entries(env)) process.stdout.write(`\nwith ${name}=${value}\n`);
  const args = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    ...files,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    process.stdout.write(`${line}\n`);
    const [, what, count] = /^ℹ (pass|fail|cancelled|skipped) (\d+)$/.exec(line) ?? [];
    if (what === 'pass') total.passed += Number(count);
    if (what === 'fail' || what === 'cancelled') total.failed += Number(count);
    if (what === 'skipped') total.skipped += Number(count);
  }
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode === 0);
    else child.once('exit', (code) => resolve(code === 0));
  });
}
