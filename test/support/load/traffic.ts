/** Who answers, and which servers are in the file: what a change at the source comes to in the end. */
import assert from 'node:assert/strict';
import { serverLines, splitSections } from '../../../src/haproxy/text/text.ts';
import { runCommand } from '../../../src/lib/command.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { until } from '../index.ts';
import type { Workplace } from '../sites/myelin.ts';
import { get } from './requests.ts';

/** How often each answer came to `requests` over a connection of their own: bodies, or the status where it is no 200. */
export async function answers(port: number, requests = 20): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (let asked = 0; asked < requests; asked++) {
    const answer = await get(port);
    counts[answer] = (counts[answer] ?? 0) + 1;
  }
  return counts;
}

/** Waits until exactly these answer, each of them at least once in 20 requests. */
export async function servedBy(port: number, ...wanted: readonly string[]): Promise<void> {
  const goal = wanted.toSorted().join(', ');
  let last = 'nobody yet';
  await until(
    `${goal} answer on port ${port}`,
    async () => {
      last = Object.keys(await answers(port))
        .sort()
        .join(', ');
      if (last !== goal) throw new Error(`it was ${last}`);
      return true;
    },
    { withinMs: 60_000 },
  );
}

/** `address:port weight` of each server of the service in the file, sorted. */
export async function serversOf(place: Workplace, service: string): Promise<readonly string[]> {
  const sections = splitSections(await place.read('run/haproxy.cfg'));
  const backend = sections.find(({ kind, name }) => kind === 'backend' && name === service);
  assert.ok(backend, `there is a backend ${service}`);
  return serverLines(backend)
    .map(({ address, port, words }) => `${address}:${port} ${words[words.indexOf('weight') + 1]}`)
    .sort();
}

/** HAProxy takes the file as it is on disk, without a warning. */
export async function assertValid(place: Workplace): Promise<void> {
  const file = place.path('run/haproxy.cfg');
  const { status, stdout, stderr } = await runCommand([await haproxy(), '-c', '-f', file], { timeoutMs: 20_000 });
  assert.equal(status, 0, stdout + stderr);
  assert.doesNotMatch(stdout + stderr, /WARNING|ALERT/);
}
