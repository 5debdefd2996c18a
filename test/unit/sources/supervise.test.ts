import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../../src/errors.ts';
import type { SourceEvent, Update } from '../../../src/model.ts';
import { type Supervision, supervise } from '../../../src/sources/supervise.ts';

const synced: Update = { kind: 'synced' };
const soon = { baseMs: 0, capMs: 0, longestMs: 0, share: 0 };

/** What is said until `enough`, by a source whose starts run one script after the other. */
async function say(
  scripts: readonly (() => AsyncIterable<Update>)[],
  enough: (events: readonly SourceEvent[]) => boolean,
  options: Partial<Supervision> = {},
): Promise<SourceEvent[]> {
  const stop = new AbortController();
  const events: SourceEvent[] = [];
  const start = scripts.values();
  const supervised = supervise('consul', () => start.next().value?.() ?? hang(stop.signal), {
    signal: stop.signal,
    patience: soon,
    ...options,
  });
  for await (const event of supervised) {
    events.push(event);
    if (enough(events)) stop.abort();
  }
  return events;
}

async function* hang(signal: AbortSignal): AsyncGenerator<Update> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}

async function* answersThen(error: Error): AsyncGenerator<Update> {
  yield synced;
  throw error;
}

// biome-ignore lint/correctness/useYield: it fails before it says anything
async function* fails(error: Error): AsyncGenerator<Update> {
  throw error;
}

function failures(events: readonly SourceEvent[]) {
  return events.flatMap((event) => (event.kind === 'failed' ? [event] : []));
}

test('a source that throws is started again, and its failure is told with the reason', async () => {
  const events = await say(
    [() => answersThen(new Error('down', { cause: new Error('no route') })), () => answersThen(new Error('again'))],
    (said) => failures(said).length === 2,
  );
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['started', 'synced', 'failed', 'started', 'synced', 'failed'],
  );
  assert.deepEqual(
    failures(events).map(({ reason }) => reason),
    ['down: no route', 'again'],
  );
  assert.ok(events.every(({ watcher }) => watcher === 'consul'));
});

test('retries slow down exponentially while a source keeps failing', async () => {
  const events = await say(
    Array.from({ length: 8 }, () => () => fails(new Error('down'))),
    (said) => failures(said).length === 8,
    { patience: { ...soon, baseMs: 0.1, capMs: 1 } },
  );
  for (const [attempt, { retryInMs }] of failures(events).entries())
    assert.ok(retryInMs <= Math.min(1, 0.1 * 2 ** attempt), `${retryInMs} ms after failure ${attempt}`);
});

test('a source that was healthy for a while is retried as fast as after the first failure', async () => {
  const events = await say(
    Array.from({ length: 30 }, () => () => answersThen(new Error('down'))),
    (said) => failures(said).length === 30,
    { patience: { ...soon, baseMs: 0.001, capMs: 3_600_000 }, healthyAfterMs: 0 },
  );
  assert.ok(failures(events).every(({ retryInMs }) => retryInMs <= 0.001));
});

test('a source that asks to be left alone for a while is', async () => {
  const busy = new AppError('MYELIN_SOURCE_FAILED', 'HTTP 429', { retryAfterMs: 60_000 });
  const events = await say([() => fails(busy)], (said) => failures(said).length === 1);
  assert.equal(failures(events)[0]?.retryInMs, 60_000);
});

test('no source is left alone for longer than five minutes', async () => {
  const greedy = Object.assign(new Error('HTTP 503'), { retryAfterMs: 1e12 });
  const events = await say([() => fails(greedy)], (said) => failures(said).length === 1);
  assert.equal(failures(events)[0]?.retryInMs, 300_000);
});

test('a source that ends although nobody stopped it has failed, and is started again', async () => {
  const once = async function* (): AsyncGenerator<Update> {
    yield synced;
  };
  const events = await say([once, once], (said) => failures(said).length === 2);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['started', 'synced', 'failed', 'started', 'synced', 'failed'],
  );
  assert.equal(failures(events)[0]?.reason, 'the watcher ended although nobody stopped it');
});

test('what a source throws because it is stopped is no failure', async () => {
  const stop = new AbortController();
  const events: SourceEvent[] = [];
  const source = async function* (signal: AbortSignal): AsyncGenerator<Update> {
    yield synced;
    await hang(signal).next();
    throw new Error('aborted');
  };
  for await (const event of supervise('consul', source, { signal: stop.signal })) {
    events.push(event);
    if (event.kind === 'synced') setImmediate(() => stop.abort());
  }
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['started', 'synced'],
  );
});
