/** A map of 10,000 routes of a real HAProxy whose owners all change: each request is answered by the old one or by the new one. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { CommandOutcome } from '../../../src/apply/driver.ts';
import { Worker } from '../../../src/apply/runtime/worker.ts';
import { AppError } from '../../../src/errors.ts';
import { HeldConnection } from '../../../src/haproxy/cli/held-connection.ts';
import { readInfo } from '../../../src/haproxy/cli/info.ts';
import { withPayload } from '../../../src/haproxy/cli/payload.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { findDrift, ownerOf, type SeenMap } from '../../../src/haproxy/resources/maps/read-back.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered, RuntimeCommand } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder } from '../../support/index.ts';
import { type Asked, askPipelined } from '../../support/load/pipelined.ts';

const hosts = 10_000;
const places = Array.from({ length: hosts }, (_, at) => at);
const hostAt = (at: number): string => `host-${at}.example.com`;

/** Neighbours have different owners, so that the answer of a wrong one shows. */
const old = places.map((at) => `${hostAt(at)}/ old-${at % 3}\n`).join('');
/** Some get a longer route beside it: while that comes, the shorter one is to be found. */
const now = places
  .map((at) =>
    at % 10 === 0 ? `${hostAt(at)}/ new-${at % 3}\n${hostAt(at)}/api/ api\n` : `${hostAt(at)}/ new-${at % 3}\n`,
  )
  .join('');

const requests: readonly Asked[] = places.map((at) => ({ host: hostAt(at), path: at % 20 === 0 ? '/api/x' : '/' }));
const oldAnswer = (at: number): string => `old-${at % 3}`;
const newAnswer = (at: number): string => (at % 20 === 0 ? 'api' : `new-${at % 3}`);
const names = ['old-0', 'old-1', 'old-2', 'new-0', 'new-1', 'new-2', 'api', 'none'];

type Site = AsyncDisposable & {
  readonly socket: string;
  readonly map: string;
  /** One that knows of these entries. `around` is called for each line: it sends it, or not. */
  worker(entries: string, around?: (send: () => Promise<string>, line: string) => Promise<string>): Promise<Worker>;
  /** Plans and sends what leads to these entries; returns what became of it. */
  attempt(worker: Worker, to: string): Promise<Pick<CommandOutcome, 'kind'> & { commands: readonly RuntimeCommand[] }>;
  /** The same, of which nothing else must come than that it is done; returns what was sent. */
  change(worker: Worker, to: string): Promise<readonly RuntimeCommand[]>;
  /** What differs from these entries, read back. */
  drift(worker: Worker, from: string): Promise<readonly string[]>;
  /** What each of the hosts, or each of these, is answered. */
  answers(from?: number, to?: number): Promise<readonly string[]>;
};

async function start(branch: HaproxyBranch): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const port = await freePort();
  const map = join(folder.path, 'haproxy.cfg.maps', 'public.map');
  await mkdir(dirname(map));
  await writeFile(map, old);
  const config = [
    'global',
    `    stats socket ${join(folder.path, 'admin.sock')} mode 600 level admin`,
    'defaults',
    '    mode http',
    '    timeout connect 5s',
    '    timeout client 30s',
    '    timeout server 30s',
    'frontend public',
    `    bind 127.0.0.1:${port}`,
    '    http-request set-var(txn.path) path',
    '    http-request set-var(txn.key) req.hdr(host),concat(,txn.path,/)',
    `    use_backend %[var(txn.key),map_beg(${map},none)]`,
    ...names.flatMap((name) => [`backend ${name}`, `    http-request return status 200 hdr x-backend ${name}`]),
    '',
  ].join('\n');
  const { socket } = stack.use(await startHaproxy(await haproxy(branch), folder.path, config));
  const { pid, version } = await readInfo(socket);
  const held = new HeldConnection(socket);
  stack.defer(() => held.close());
  const file = (entries: string): Rendered => ({
    sections: [...splitSections(config), { kind: 'map', name: map, text: entries, service: null }],
  });
  const attempt: Site['attempt'] = async (worker, to) => {
    const desired = file(to);
    const plan = planChange(worker.running, desired, worker);
    if (plan.kind === 'reload') assert.fail(JSON.stringify(plan.reasons));
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const { kind } = await worker.applyCommands(commands, desired);
    return { kind, commands };
  };
  const kept = stack.move();
  return {
    socket,
    map,
    async worker(entries, around = (send) => send()) {
      const running = file(entries);
      const asks = (line: string): Promise<string> => around(() => held.ask(line), line);
      return new Worker({ pid, version, started: running.sections, running, ask: asks, now: Date.now });
    },
    attempt,
    async change(worker, to) {
      const { kind, commands } = await attempt(worker, to);
      assert.equal(kind, 'applied');
      return commands;
    },
    async drift(worker, from) {
      const seen = (await worker.observe([ownerOf(map)])).get('map') as ReadonlyMap<string, SeenMap>;
      const { findings, running } = findDrift(file(from), seen);
      worker.acceptObserved(running, []);
      return findings.map(({ what }) => what);
    },
    answers: (from = 0, to = hosts) => askPipelined(port, requests.slice(from, to)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** How many of the answers are by the old owner, by the new one, and by anybody else. */
function count(answers: readonly string[]): { old: number; new: number; wrong: readonly string[] } {
  const counted = { old: 0, new: 0, wrong: [] as string[] };
  for (const [at, answer] of answers.entries())
    if (answer === oldAnswer(at)) counted.old++;
    else if (answer === newAnswer(at)) counted.new++;
    else counted.wrong.push(`${hostAt(at)}: ${answer}`);
  return counted;
}

for (const branch of branches) {
  test(`HAProxy ${branch}: while all of 10,000 routes get other owners under load, no request is answered by anybody else, and afterwards by the new ones alone`, async (t) => {
    await using site = await start(branch);
    const rounds: (readonly string[])[] = [];
    // Some hosts are asked before each line that is sent; and all of them, over and over, beside that.
    const worker = await site.worker(old, async (send) => {
      const from = Math.floor(Math.random() * hosts);
      const some = await site.answers(from, from + 100);
      rounds.push(Array.from({ length: from + some.length }, (_, at) => some[at - from] ?? oldAnswer(at)));
      return send();
    });
    assert.deepEqual(count(await site.answers()), { old: hosts, new: 0, wrong: [] });

    let isOver = false;
    const load = async (): Promise<void> => {
      while (!isOver) rounds.push(await site.answers());
    };
    const loads = [load(), load()];
    let commands: readonly RuntimeCommand[] = [];
    // To and fro, so that the load meets many moments of it.
    for (const entries of [now, old, now]) {
      commands = await site.change(worker, entries);
      assert.deepEqual(await site.drift(worker, entries), []);
    }
    const after = site.answers();
    isOver = true;
    assert.deepEqual(count(await after), { old: 0, new: hosts, wrong: [] });
    await Promise.all(loads);
    const all = rounds.map(count);
    assert.deepEqual(
      all.flatMap(({ wrong }) => wrong),
      [],
    );
    t.diagnostic(`${commands.length} commands; ${rounds.length} times some or all hosts were asked meanwhile`);
    assert.equal(commands.length, branch === '2.2' ? 11_000 : 1);
  });

  test(`HAProxy ${branch}: one route among 10,000 is one command`, async () => {
    await using site = await start(branch);
    const worker = await site.worker(old);
    const first = `${hostAt(0)}/ old-0\n`;
    for (const [entries, action] of [
      [`${old}more.example.com/ api\n`, 'add'],
      [`${old}more.example.com/ new-1\n`, 'set'],
      [old, 'delete'],
      [old.slice(first.length), 'delete'],
    ] as const) {
      const commands = await site.change(worker, entries);
      assert.deepEqual(
        commands.map((command) => command.kind === 'map' && command.action),
        [action],
      );
      assert.deepEqual(await site.drift(worker, entries), []);
    }
  });

  // 2.2 has no versions of maps.
  if (branch === '2.2') continue;

  test(`HAProxy ${branch}: a version that was left half filled misleads nobody, and ends with the next one`, async () => {
    await using site = await start(branch);
    const half = now.slice(0, now.indexOf(`${hostAt(400)}/`));
    assert.equal((await ask(site.socket, [`prepare map ${site.map}`])).trim(), 'New version created: 1');
    await ask(site.socket, [withPayload(`add map @1 ${site.map}`, half)]);
    assert.deepEqual(count(await site.answers()), { old: hosts, new: 0, wrong: [] });

    const worker = await site.worker(old);
    const [first, second] = [`${hostAt(0)}/ old-0\n`, `${hostAt(1)}/ old-1\n`];
    const rest = old.slice(first.length + second.length);
    for (const entries of [`${hostAt(0)}/ new-0\n${second}${rest}`, `${second}${rest}`, rest, old]) {
      await site.change(worker, entries);
      assert.deepEqual(await site.drift(worker, entries), []);
    }
    assert.deepEqual(count(await site.answers()), { old: hosts, new: 0, wrong: [] });

    assert.equal((await site.change(worker, now)).length, 1);
    assert.deepEqual(await site.drift(worker, now), []);
    assert.deepEqual(count(await site.answers()), { old: 0, new: hosts, wrong: [] });
    assert.equal((await ask(site.socket, [`show map @1 ${site.map}`])).trim(), '');
  });

  test(`HAProxy ${branch}: what somebody does to a map while a version of it is filled is found, and the map ends as desired`, async () => {
    const byHand: readonly ((map: string) => readonly string[])[] = [
      (map) => [`set map ${map} ${hostAt(1)}/ api`, `add map ${map} ${hostAt(2)}/ api`, `del map ${map} ${hostAt(3)}/`],
      (map) => [`clear map ${map}`],
      // Another version takes the place of the map before ours does, and after it.
      (map) => [`prepare map ${map}`, `commit map @2 ${map}`],
      (map) => [`commit map @1 ${map}`],
    ];
    for (const lines of byHand) {
      await using site = await start(branch);
      let sent = 0;
      const worker = await site.worker(old, async (send) => {
        if (++sent === 10) for (const line of lines(site.map)) await ask(site.socket, [line]);
        return send();
      });
      const { kind } = await site.attempt(worker, now);
      // Where a reply is not the known one, what runs is read back.
      await site.drift(worker, kind === 'applied' ? now : old);
      await site.change(worker, now);
      assert.deepEqual(await site.drift(worker, now), []);
      assert.deepEqual(count(await site.answers()), { old: 0, new: hosts, wrong: [] });
    }
  });

  test(`HAProxy ${branch}: whatever answer is lost while a version is filled, nobody is misled, and the next attempt ends it`, async () => {
    for (const step of ['prepare map', 'add map', 'commit map'])
      for (const isSent of [false, true]) {
        await using site = await start(branch);
        let isOver = false;
        const worker = await site.worker(old, async (send, line) => {
          if (isOver || !line.includes(`;${step}`)) return send();
          isOver = true;
          if (isSent) await send();
          throw new AppError('MYELIN_SOCKET_FAILED', 'lost');
        });
        assert.equal((await site.attempt(worker, now)).kind, 'failed');
        assert.deepEqual(count(await site.answers()).wrong, []);
        await site.drift(worker, old);
        await site.change(worker, now);
        assert.deepEqual(await site.drift(worker, now), []);
        assert.deepEqual(count(await site.answers()), { old: 0, new: hosts, wrong: [] });
      }
  });
}
