/** The benchmarks work: each runs in its short form, whose figures mean nothing. */
import assert from 'node:assert/strict';
import { basename, resolve } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../../../src/lib/command.ts';
import type { Ms } from '../../../src/model.ts';

const longestMs: Ms = 500_000;

const benchmarks = [
  { file: '../../../bench/drops.ts', args: [], finds: /\d+ requests in \d+ s, failed: 0\n/ },
  {
    file: '../../../bench/latency.ts',
    args: [],
    finds: /Myelin, Consul +2 .*\n[\s\S]*consul-template, Consul : Myelin, Consul, p50: \d/,
  },
  { file: '../../../bench/latency.ts', args: ['--idle'], finds: /^2 Consul services +1 s +[\d.]+ % +\d+ MiB/m },
  {
    file: '../../../bench/resting.ts',
    args: [],
    finds: /^120 Consul services +1 s [\s\S]*^of 120 services +3 +[\d.]+ ms/m,
  },
  {
    file: '../../../bench/new-route.ts',
    args: [],
    finds: /^consul, beside 1 +2 .* 0 +0\nconsul, beside 20 +2 .* 0 +0\n[\s\S]*^kubernetes, beside 20 +2 .* 0 +0\n/m,
  },
  { file: '../../../bench/maps.ts', args: [], finds: /^10 +[\d.]+ µs [\s\S]*^1000 +[\d.]+ µs .* 1 +[\d.]+ ms/m },
  { file: '../../../bench/failing.ts', args: [], finds: /^503 +3 s [\s\S]*^401 +3 s /m },
  { file: '../../../bench/kubernetes.ts', args: [], finds: /^some time apart +2 [\s\S]*^reloads +\d+$/m },
] as const;

for (const { file, args, finds } of benchmarks)
  test(`${[`bench:${basename(file, '.ts')}`, ...args].join(' ')} comes to its figures`, async ({ signal }) => {
    const argv = [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      resolve(import.meta.dirname, file),
      '--short',
      ...args,
    ];
    const { status, stdout, stderr } = await runCommand(argv, { timeoutMs: longestMs, signal, env: process.env });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, finds);
  });
