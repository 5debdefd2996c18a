/** The benchmarks work: each runs in its short form, whose figures mean nothing. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../../src/lib/command.ts';
import type { Ms } from '../../src/model.ts';

/** Also builds consul-template where it is not there yet. */
const longestMs: Ms = 500_000;

const benchmarks = [
  { name: 'drops', args: [], finds: /\d+ requests in \d+ s, failed: 0\n/ },
  {
    name: 'latency',
    args: [],
    finds: /Myelin, Consul +2 .*\n[\s\S]*consul-template, Consul : Myelin, Consul, p50: \d/,
  },
  { name: 'latency', args: ['--idle'], finds: /^2 Consul services +1 s +[\d.]+ % +\d+ MiB/m },
  { name: 'resting', args: [], finds: /^120 Consul services +1 s [\s\S]*^of 120 services +3 +[\d.]+ ms/m },
  { name: 'failing', args: [], finds: /^503 +3 s [\s\S]*^401 +3 s /m },
  { name: 'kubernetes', args: [], finds: /^some time apart +2 [\s\S]*^reloads +\d+$/m },
] as const;

for (const { name, args, finds } of benchmarks)
  test(`${[`bench:${name}`, ...args].join(' ')} comes to its figures`, async ({ signal }) => {
    const file = resolve(import.meta.dirname, `../../bench/${name}.ts`);
    const argv = [process.execPath, '--disable-warning=ExperimentalWarning', file, '--short', ...args];
    const { status, stdout, stderr } = await runCommand(argv, { timeoutMs: longestMs, signal, env: process.env });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, finds);
  });
