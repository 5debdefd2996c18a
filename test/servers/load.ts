/** Puts load on an address with `ab` or `wrk`, and counts every way in which a request can fail. */
import { join } from 'node:path';
import { type Finished, runCommand } from '../../src/lib/command.ts';
import type { Ms } from '../../src/model.ts';
import { tool } from './haproxy.ts';
import { provided } from './provided.ts';

export type Load = {
  /** Requests that got an answer, whatever it was. */
  readonly complete: number;
  /** Everything that a client would call a failure: errors of any kind and answers other than 2xx. */
  readonly failed: number;
  readonly non2xx: number;
  /** Each kind by the tool's own name. */
  readonly errors: Readonly<Record<string, number>>;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** What the tool printed, for messages. */
  readonly output: string;
};

type Target = {
  readonly url: string;
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
  /** Its last end, whatever it asks does. */
  readonly withinMs?: Ms;
};

const tools = { ab: provided('ab', () => tool('ab')), wrk: provided('wrk', () => tool('wrk')) };

const longestRunMs: Ms = 300_000;

/**
 * A connection a request, unless `keepAlive`. Without it, losses of kept connections cannot be seen. All answers have to
 * be of one length: ab takes no answer at all, and half of one, for an answer of another length.
 */
export async function ab(options: Target & { readonly requests: number; readonly keepAlive: boolean }): Promise<Load> {
  const { url, concurrency, requests, keepAlive } = options;
  const flags = ['-q', '-r', '-s', '30', ...(keepAlive ? ['-k'] : [])];
  const ran = await load('ab', [...flags, '-c', `${concurrency}`, '-n', `${requests}`, url], options);
  const [, connect, receive, length, exceptions] =
    /\(Connect: (\d+), Receive: (\d+), Length: (\d+), Exceptions: (\d+)\)/.exec(ran.stdout) ?? [];
  const errors = {
    ...numbers({ connect, receive, length, exceptions }),
    write: find(ran.stdout, /^Write errors:\s+(\d+)/m),
    // ab ends early at an error that -r does not cover, such as refused connections.
    'not sent': ran.status === 0 ? 0 : requests - find(ran.stdout, /^Complete requests:\s+(\d+)/m),
    // Where none is answered they are of one length, too.
    'not answered': /^HTML transferred:\s+0 bytes/m.test(ran.stdout) ? requests : 0,
  };
  return result(ran, {
    complete: find(ran.stdout, /^Complete requests:\s+(\d+)/m),
    non2xx: find(ran.stdout, /^Non-2xx responses:\s+(\d+)/m),
    errors,
    p50Ms: percentile(ran.stdout, /^\s+50%\s+([\d.]+)()$/m),
    p99Ms: percentile(ran.stdout, /^\s+99%\s+([\d.]+)()$/m),
  });
}

type WrkOptions = Target & {
  readonly seconds: number;
  readonly threads?: number;
  /** Connections are idle for a moment between two requests. */
  readonly pauses?: boolean;
};

/** Kept connections, as many requests as fit in the time. */
export async function wrk(options: WrkOptions): Promise<Load> {
  const { url, concurrency, seconds, threads = 1, pauses = false } = options;
  const script = pauses ? ['--script', join(import.meta.dirname, 'wrk-pause.lua')] : [];
  const args = [`-t${threads}`, `-c${concurrency}`, `-d${seconds}s`, '--latency', '--timeout', '10s', ...script, url];
  const ran = await load('wrk', args, { ...options, withinMs: options.withinMs ?? seconds * 1000 + 60_000 });
  const [, connect, read, write, timeout] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(ran.stdout) ?? [];
  return result(ran, {
    complete: find(ran.stdout, /^\s+(\d+) requests in/m),
    non2xx: find(ran.stdout, /Non-2xx or 3xx responses: (\d+)/),
    errors: numbers({ connect, read, write, timeout }),
    p50Ms: percentile(ran.stdout, /^\s+50%\s+([\d.]+)(us|ms|s)/m),
    p99Ms: percentile(ran.stdout, /^\s+99%\s+([\d.]+)(us|ms|s)/m),
  });
}

async function load(name: keyof typeof tools, args: readonly string[], target: Target): Promise<Finished> {
  const { url, signal, withinMs = longestRunMs } = target;
  const ran = await runCommand([await tools[name](), ...args], { timeoutMs: withinMs, signal });
  if (ran.timedOut) throw new Error(`not over within ${withinMs} ms: ${name} on ${url}`);
  return ran;
}

function result(ran: Finished, seen: Omit<Load, 'failed' | 'output'>): Load {
  const output = `${ran.stdout}\n${ran.stderr}`.trim();
  const failed = Object.values(seen.errors).reduce((sum, each) => sum + each, seen.non2xx);
  // A run that ended badly must never look like one without failures.
  return { ...seen, failed: ran.status === 0 ? failed : Math.max(failed, 1), output };
}

function numbers<K extends string>(texts: Record<K, string | undefined>): Record<K, number> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Number(text ?? 0)])) as Record<K, number>;
}

function find(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

function percentile(text: string, pattern: RegExp): number | null {
  const [, value, unit] = pattern.exec(text) ?? [];
  if (value === undefined) return null;
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1);
}
