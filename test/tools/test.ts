/**
 * `npm test [-- FILE…]`: provides the real servers, then runs the suites: everything that is quick side by side, and
 * the end-to-end tests, which put load on the machine, one file after the other.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { consulBinary } from '../servers/consul.ts';
import { haproxy, tool } from '../servers/haproxy.ts';
import { helmBinary } from '../servers/helm.ts';
import { kubernetesBinaries } from '../servers/kubernetes.ts';

const suites = [
  { folders: ['unit', 'docs', 'contract', 'integration', 'deploy'], concurrency: 2 },
  { folders: ['e2e'], concurrency: 1 },
] as const;

const chosen = process.argv.slice(2);
process.stdout.write(`HAProxy: ${await haproxy()}\nConsul: ${await consulBinary()}\nHelm: ${await helmBinary()}\n`);
// Tests in a network of their own can fetch nothing.
for (const name of ['ab', 'wrk'] as const) process.stdout.write(`${name}: ${await tool(name)}\n`);
for (const [name, path] of Object.entries(await kubernetesBinaries())) process.stdout.write(`${name}: ${path}\n`);

const total = { passed: 0, failed: 0, skipped: 0 };
let ok = true;
if (chosen.length > 0) ok = await run(chosen, 1);
else
  for (const { folders, concurrency } of suites)
    ok =
      (await run(
        folders.flatMap((folder) => globSync(`test/${folder}/**/*.test.ts`).sort()),
        concurrency,
      )) && ok;
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exit(ok && total.failed === 0 && total.passed > 0 ? 0 : 1);

/** One run of node's test runner; its own totals are shown and added up. */
async function run(files: readonly string[], concurrency: number): Promise<boolean> {
  const args = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    ...files,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
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
