/**
 * A bare watch of EndpointSlices in a process of its own, for the benchmarks: tells its parent when each event came,
 * which is what the API server takes, and no client can be faster.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Ms } from '../src/model.ts';
import { until } from '../test/support/index.ts';
import { now } from './clock.ts';
import { messageOf } from './process.ts';

type Task = { readonly url: string; readonly token: string };
type Event = { readonly version: string; readonly name: string; readonly at: Ms };

export type Watching = AsyncDisposable & {
  /** The moment at which the event about this version of an object came. */
  cameAt(version: string): Promise<Ms>;
  /** The moment at which the first event about an object of this name came. */
  cameOf(name: string): Promise<Ms>;
};

export async function startWatching(task: Task): Promise<Watching> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const came = new Map<string, Ms>();
  const cameOf = new Map<string, Ms>();
  await messageOf(child);
  child.send(task);
  await messageOf(child);
  child.on('message', ({ version, name, at }: Event) => {
    came.set(version, at);
    cameOf.set(name, cameOf.get(name) ?? at);
  });
  return {
    cameAt: (version) => until(`the event about version ${version} came`, () => came.get(version) ?? null),
    cameOf: (name) => until(`an event about ${name} came`, () => cameOf.get(name) ?? null, { withinMs: 60_000 }),
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

async function watch({ url, token }: Task): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const asked = request(url, { headers, rejectUnauthorized: false });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  process.send?.('open');
  for await (const line of createInterface({ input: answer })) {
    const at = now();
    const { type, object } = JSON.parse(line) as {
      readonly type: string;
      readonly object: { readonly metadata: { readonly name: string; readonly resourceVersion: string } };
    };
    if (type === 'ERROR') throw new Error(line);
    const { name, resourceVersion: version } = object.metadata;
    process.send?.({ version, name, at });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.once('message', (task: Task) => void watch(task));
  process.once('disconnect', () => process.exit());
  process.send?.('ready');
}
