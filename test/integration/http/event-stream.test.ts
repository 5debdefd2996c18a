/** What happens, as it goes out over real sockets: to quick readers and slow ones, to many, and at the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { tcpRefusal } from '../../../src/http/admin.ts';
import { askMyelin, followEvents } from '../../../src/http/client.ts';
import { eventsRoute, historyRoute } from '../../../src/http/event-stream.ts';
import { listenTcp, listenUnix } from '../../../src/http/listen.ts';
import { type Event, Events } from '../../../src/report/events.ts';
import { History, type HistoryOptions } from '../../../src/report/history/history.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

type Masked = HistoryOptions['masked'];

type Place = AsyncDisposable & {
  readonly events: Events;
  readonly socket: string;
  readonly port: number;
  /** Ends the server; how long that took. */
  stop(): Promise<number>;
};

async function place(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const socket = join(folder.path, 's');
  const port = await freePort();
  const events = new Events({ now: Date.now, masked: (value) => value });
  const onTrouble = (error: unknown): never => assert.fail(`${error}`);
  const masked: Masked = (value) => value;
  const history = new History({ path: join(folder.path, 'h'), now: Date.now, masked, onTrouble, onUnlisted() {} });
  stack.use(history);
  events.subscribe((event) => history.add(event));
  const routes = () => [eventsRoute({ events, history, onReaderLost() {} }), historyRoute({ history })];
  const stopping = new AbortController();
  const onError = (cause: unknown): void => {
    throw new Error('nothing should go wrong here', { cause });
  };
  const { signal } = stopping;
  const closed = [
    (await listenUnix(socket, 'admin.socket', { routes: routes(), signal, onError })).closed,
    (
      await listenTcp(`127.0.0.1:${port}`, 'admin.listen', {
        routes: routes(),
        signal,
        onError,
        refuse: tcpRefusal({ listen: `127.0.0.1:${port}`, hosts: [] }),
      })
    ).closed,
  ];
  const stop = async (): Promise<number> => {
    const from = performance.now();
    stopping.abort();
    await Promise.all(closed);
    return performance.now() - from;
  };
  stack.defer(async () => void (await stop()));
  const kept = stack.move();
  return { events, socket, port, stop, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The head of the answer has come. */
async function open(port: number, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const asking: ClientRequest = get({ port, host: '127.0.0.1', path: '/api/v1/events', headers, agent: false });
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return response;
}

/** All that it says until it ends. */
function reading(response: IncomingMessage): { text: string; readonly ended: Promise<unknown> } {
  const read = { text: '', ended: once(response, 'close') };
  response.setEncoding('utf8').on('data', (chunk: string) => {
    read.text += chunk;
  });
  // That the other side breaks off is what some of these tests are about.
  response.on('error', () => undefined);
  return read;
}

const note = (service: string): Parameters<Events['add']>[0] => ({ kind: 'loss_ended', service });

test('a late reader gets what happened last, then what happens; one that comes again only what it missed', async () => {
  await using my = await place();
  for (let at = 0; at < 150; at++) my.events.add(note(`s${at}`));
  const stop = new AbortController();
  const got: Event[] = [];
  const done = (async () => {
    for await (const event of followEvents(my.socket, { lastId: null, signal: stop.signal })) {
      got.push(event);
      if (got.length === 101) break;
    }
  })();
  await until('it has what is kept', () => got.length === 100);
  my.events.add(note('now'));
  await done;
  assert.deepEqual(
    got.map((event) => 'service' in event && event.service),
    [...Array.from({ length: 100 }, (_, at) => `s${at + 50}`), 'now'],
  );
  assert.ok(got.every(({ at, kind }) => kind === 'loss_ended' && Math.abs(Date.now() - at) < 60_000));

  my.events.add(note('missed'));
  const response = await open(my.port, { 'last-event-id': got.at(-1)?.id ?? '' });
  assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
  assert.equal(response.headers['cache-control'], 'no-store');
  const read = reading(response);
  await until('it has what it missed', () => read.text.includes('missed'));
  const said = read.text.replaceAll(/"at":\d+/g, '"at":0').replace(/id: \S+/, 'id: 1');
  const data = (kind: string): string => `event: ${kind}\ndata: {"at":0,"kind":"${kind}","service":"missed"}\n\n`;
  assert.equal(said, `retry: 1000\n\n${data('kept_no_longer')}id: 1\n${data('loss_ended')}`, 'by its former name, too');
  response.destroy();
});

test('an event stream on which nothing happens is kept alive', async (t) => {
  await using my = await place();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const response = await open(my.port);
  const read = reading(response);
  await until('it is greeted', () => read.text !== '');
  t.mock.timers.tick(15_000);
  t.mock.timers.reset();
  await until('it hears a heartbeat', () => read.text === 'retry: 1000\n\n: heartbeat\n\n');
  response.destroy();
});

test('sixteen readers are served at each place, one more is refused, and a place that is free again is given away', async () => {
  await using my = await place();
  const readers = await Promise.all(Array.from({ length: 16 }, () => open(my.port)));
  const texts = readers.map(reading);
  const refused = await open(my.port);
  assert.equal(refused.statusCode, 503);
  const why = reading(refused);
  await why.ended;
  assert.match(why.text, /16 others are reading the events already/);
  const stop = new AbortController();
  const atSocket = followEvents(my.socket, { lastId: null, signal: stop.signal });
  const first = atSocket.next();
  my.events.add(note('for all'));
  assert.equal((await first).value?.kind, 'loss_ended');
  await until('all have it', () => texts.every(({ text }) => text.includes('for all')));
  stop.abort(new Error('enough'));
  await assert.rejects(atSocket.next(), /enough/);
  readers[3]?.destroy();
  const next = await until('there is room again', async () => {
    const response = await open(my.port);
    response.on('error', () => undefined);
    return response.statusCode === 200 ? response : null;
  });
  for (const reader of [...readers, next]) reader.destroy();
});

test('a reader that does not read is let go before it costs much, and the others miss nothing', async () => {
  await using my = await place();
  const slow = connect(my.port, '127.0.0.1');
  slow.on('error', () => undefined).pause();
  slow.write('GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
  const quick = await open(my.port);
  const read = reading(quick);
  await until('both are there', () => read.text !== '' && slow.bytesWritten > 0);
  const before = process.memoryUsage().arrayBuffers;
  const words = 'x'.repeat(2000);
  let told = 0;
  // 40 MB in all: far more than the kernel takes on.
  for (let round = 0; round < 200; round++) {
    for (let at = 0; at < 100; at++) my.events.add({ kind: 'trouble', error: `${told++} ${words}` });
    await until('the quick one has them', () => read.text.includes(`"${told - 1} `));
    read.text = '';
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000, 'what nobody reads is not kept');
  slow.resume();
  await once(slow, 'close', { signal: AbortSignal.timeout(10_000) });
  assert.ok(slow.bytesRead < 20_000_000, `${slow.bytesRead} bytes`);
  my.events.add(note('after'));
  await until('the quick one is served on', () => read.text.includes('after'));
  quick.destroy();
});

test('readers that leave in the middle of what is told harm nobody', async () => {
  await using my = await place();
  for (let round = 0; round < 30; round++) {
    const response = await open(my.port);
    response.on('error', () => undefined);
    my.events.add({ kind: 'trouble', error: 'x'.repeat(100_000) });
    response.destroy();
    my.events.add(note('gone'));
  }
  const response = await open(my.port);
  assert.equal(response.statusCode, 200);
  response.destroy();
});

test('at the end all readers are told so at once, also one that does not read', async () => {
  await using my = await place();
  const slow = connect(my.port, '127.0.0.1');
  slow.on('error', () => undefined).pause();
  slow.write('GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
  const read = reading(await open(my.port));
  const stop = new AbortController();
  const atSocket = followEvents(my.socket, { lastId: null, signal: stop.signal });
  const next = atSocket.next();
  await until('they are there', () => read.text !== '');
  my.events.add(note('last'));
  assert.equal((await next).done, false);
  for (let at = 0; at < 150; at++) my.events.add({ kind: 'trouble', error: 'x'.repeat(1500) });
  assert.ok((await my.stop()) < 1000);
  await read.ended;
  assert.match(read.text, /last/);
  const rest: unknown[] = [];
  for await (const event of atSocket) rest.push(event);
  assert.equal(rest.length, 150, 'what was told before the end arrives');
  slow.destroy();
});

test('a page of another site is refused, HEAD gets the head, and only GET is answered', async () => {
  await using my = await place();
  const foreign = await open(my.port, { origin: 'https://evil.example' });
  assert.equal(foreign.resume().statusCode, 403);
  for (const [method, status] of [
    ['HEAD', 200],
    ['POST', 405],
  ] as const) {
    const asking = request({ port: my.port, host: '127.0.0.1', method, path: '/api/v1/events', agent: false });
    const [response] = (await once(asking.end(), 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, status);
    await once(response.resume(), 'close');
  }
});

test('who asks since when gets the history first, then each event as it happens, and none twice', async () => {
  await using running = await place();
  const { events, socket } = running;
  for (let count = 0; count < 3; count++)
    events.add({ kind: 'runtime', backends: ['web'], more: 0, commands: count, tookMs: 1, sinceChangeMs: 1 });
  events.add({ kind: 'pending', reasons: [], more: 0, because: 'min_interval', startsAt: 1 });
  const stop = new AbortController();
  const got: (Event & { readonly times?: number })[] = [];
  const reading = (async () => {
    for await (const event of followEvents(socket, { lastId: null, since: '1h', signal: stop.signal })) got.push(event);
  })();
  await until('the history is read', () => got.length === 1);
  events.add({ kind: 'file_caught_up' });
  await until('the next event is read', () => got.length === 2);
  assert.deepEqual(
    got.map(({ kind, times }) => [kind, times]),
    [
      ['runtime', 3],
      ['file_caught_up', undefined],
    ],
  );
  stop.abort();
  await assert.rejects(reading);
  const list = (await askMyelin(socket, 'GET', '/api/v1/history?since=5m&service=web')) as readonly Event[];
  assert.deepEqual(
    list.map(({ kind }) => kind),
    ['runtime'],
  );
  await assert.rejects(askMyelin(socket, 'GET', '/api/v1/history?since=yesterday'), /since: /);
});
