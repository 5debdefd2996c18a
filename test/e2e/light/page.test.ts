/** The page in a real browser: what happens to HAProxy and the sources is seen at once, and thousands of services are read without a stall. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { test } from 'node:test';
import type { BrowserContextOptions, Page } from 'playwright-core';
import type { Ms } from '../../../src/model.ts';
import type { Status } from '../../../src/report/status.ts';
import { startBackends } from '../../servers/backend.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort } from '../../support/index.ts';
import { startBrowser } from '../../support/page/browser.ts';
import { serveScene } from '../../support/page/scene-server.ts';
import { workplace } from '../../support/sites/myelin.ts';
import { sceneStatus } from '../../support/values/scene.ts';

const { browser } = await forFile(startBrowser());
const watcher = resolve(import.meta.dirname, '../../../docs/watchers/example/http-json.ts');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The page is to be a second behind at most; a machine that is busy with other tests is given more. */
const soonMs: Ms = 5000;

/** A page of which every error counts, and every request that leaves this machine. */
async function open(url: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ timezoneId: 'UTC', ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // A connection that is refused is told by the page itself.
    if (message.type() === 'error' && !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(message.text()))
      faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) faults.push(`asks ${request.url()}`);
  });
  await page.goto(url);
  return { page, faults, [Symbol.asyncDispose]: () => context.close() };
}

const headline = (page: Page) => page.getByRole('heading', { level: 1 });

test('what befalls servers, HAProxy, sources and services is seen on the page within a second', async (t) => {
  await using backends = await startBackends(['alpha', 'beta']);
  const at = (name: 'alpha' | 'beta'): string => `127.0.0.1:${backends[name].port}`;
  let served: Readonly<Record<string, readonly string[]>> | null = {
    web: [at('alpha'), at('beta')],
    api: [at('beta')],
  };
  const source = createServer((_, response) => {
    response.writeHead(served === null ? 503 : 200);
    response.end(JSON.stringify(served ?? {}));
  });
  await new Promise<void>((listening) => source.listen(0, '127.0.0.1', listening));
  await using _ = { [Symbol.asyncDispose]: async () => void source.close() };
  const [port, apiPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const check = 'check: { type: http, path: /health, interval: 100ms, fall: 1, rise: 1 }';
  const configText = (api = ''): string =>
    [
      `watchers: { mine: { type: ./http-json.ts, url: "http://127.0.0.1:${(source.address() as AddressInfo).port}/", interval: 50ms } }`,
      'services:',
      `  web: { bind: "127.0.0.1:${port}", ${check} }`,
      `  api: { bind: "127.0.0.1:${apiPort}"${api} }`,
      'allowAddresses: [127.0.0.0/8]',
      'haproxy: { log: none }',
      'reload: { minInterval: 0ms }',
      `admin: { listen: "127.0.0.1:${adminPort}" }`,
      'probes: { listen: "off" }',
      '',
    ].join('\n');
  await using place = await workplace(configText());
  await copyFile(watcher, place.path('http-json.ts'));
  const myelin = place.run();
  await myelin.until('the first config is applied', ({ stateReasons }) => isApplied(stateReasons));
  const webOf = ({ services }: Status) => services.find(({ name }) => name === 'web')?.health ?? null;
  await myelin.until('all is up', (status) => status.state === 'ready' && webOf(status)?.servers.up === 2);
  const { stdout } = await place.command('ui');
  assert.equal(stdout, `http://127.0.0.1:${adminPort}/\n`);

  await using opened = await open(stdout.trim());
  const { page, faults } = opened;
  await headline(page).getByText('Serving what the sources say').waitFor();
  const attention = page.getByRole('region', { name: 'Needs attention' });
  await attention.getByText('Nothing.').waitFor();
  /** `happen` settles when Myelin knows. */
  const isSeen = async (what: string, happen: Promise<unknown>, text: string | RegExp): Promise<void> => {
    await happen;
    const from = performance.now();
    await page.getByText(text).first().waitFor({ timeout: soonMs });
    t.diagnostic(`${what} was seen ${Math.round(performance.now() - from)} ms after Myelin knew of it`);
  };

  await backends.beta.setHealthy(false);
  await isSeen(
    'a server that is down',
    myelin.until('it is down', (status) => webOf(status)?.servers.down === 1),
    '1 of its 2 servers is down',
  );
  await backends.alpha.setHealthy(false);
  await isSeen(
    'a service that is down',
    myelin.until('it is down', (status) => webOf(status)?.isDown === true),
    'HAProxy has no server up for web',
  );
  assert.match((await attention.textContent()) ?? '', /L7STS, Layer7 wrong status/);
  await page.getByRole('link', { name: 'web' }).first().click();
  const detail = page.getByRole('complementary', { name: 'web' });
  await detail.getByText('lost here').first().waitFor();
  await detail.getByText(at('alpha')).first().waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await detail.count(), 0);
  for (const name of ['alpha', 'beta'] as const) await backends[name].setHealthy(true);
  await isSeen(
    'the end of it',
    myelin.until('it is well', ({ state }) => state === 'ready'),
    'Nothing. Every source',
  );

  await isSeen('a reload', place.reload(), /HAProxy reloaded: .*operator_request/);
  await page.getByRole('row', { name: 'an operator asked for it' }).waitFor({ timeout: soonMs });

  await place.write('myelin.yaml', configText(', backend: ["http-reponse deny"]'));
  await isSeen(
    'a quarantine',
    myelin.until('it is quarantined', ({ services }) => services.some(({ quarantined }) => quarantined !== null)),
    /except for api in quarantine/,
  );
  assert.match((await attention.textContent()) ?? '', /http-reponse/);
  await place.write('myelin.yaml', configText());
  await myelin.until('it is released', ({ state }) => state === 'ready');

  served = null;
  await isSeen(
    'an outage',
    myelin.until('the source is down', ({ sources }) => sources.some(({ down }) => down !== null)),
    /Serving the state of \d\d:\d\d, mine unreachable for/,
  );
  served = { web: [at('alpha')], api: [at('beta')] };
  await isSeen(
    'the change after it',
    myelin.until('it is well', ({ state }) => state === 'ready'),
    'All is well',
  );
  const plan = page.locator('.plan', { has: page.locator('.removed') }).first();
  await plan.locator('summary').click();
  await plan.locator('.removed').first().waitFor({ timeout: soonMs });

  myelin.kill('SIGTERM');
  await isSeen(
    'the end of Myelin',
    myelin.ended,
    /This page shows the state of \d\d:\d\d:\d\d. The connection is lost/,
  );
  const next = place.run();
  await isSeen(
    'the next one',
    next.until('it serves', ({ state }) => state === 'ready'),
    'live,',
  );
  assert.deepEqual(faults, []);
});

type TraceEvent = {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** In microseconds of the processor. */
  readonly tdur?: number;
};

/** The longest task of the page's thread, in time of the processor: how busy the machine is otherwise does not count. */
async function longestTask(page: Page, act: () => Promise<unknown>): Promise<Ms> {
  const categories = ['devtools.timeline', 'disabled-by-default-devtools.timeline'];
  await browser.startTracing(page, { categories });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    readonly traceEvents: readonly TraceEvent[];
  };
  const ofPage = traceEvents.find(({ name }) => name === 'FunctionCall');
  const tasks = traceEvents.filter(
    ({ name, pid, tid }) => name === 'RunTask' && pid === ofPage?.pid && tid === ofPage.tid,
  );
  assert.ok(tasks.length > 20, 'the tasks of the page are there');
  return tasks.reduce((longest, { tdur = 0 }) => Math.max(longest, tdur / 1000), 0);
}

test('two thousand services scroll and are filtered by keyboard without a stall', async (t) => {
  await using scene = await serveScene(sceneStatus(2000));
  await using opened = await open(scene.url);
  const { page, faults } = opened;
  const table = page.getByRole('table', { name: 'Services' });
  await table.waitFor();
  assert.equal(await table.getAttribute('aria-rowcount'), '2001');
  assert.ok((await table.getByRole('row').count()) < 60, 'only what is in sight is there');

  const longest = await longestTask(page, async () => {
    for (let turn = 1; turn <= 10; turn++) {
      await table.evaluate((box, to) => box.scrollTo(0, to), turn * 7500);
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
    }
    await page.keyboard.press('/');
    await page.keyboard.type('payments gate');
    await page.getByText('17 of 2,000').waitFor();
    for (let turn = 0; turn < 2; turn++) await page.keyboard.press('ArrowDown');
  });
  t.diagnostic(`the longest task took ${Math.round(longest)} ms of the processor`);
  assert.ok(longest < 200, `a task took ${longest} ms`);
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'payments-gateway-10');
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: 'payments-gateway-10' }).waitFor();
  assert.deepEqual(faults, []);
});

test('names and reasons of strangers are text on the page, and nothing else', async () => {
  const hostile = '<img src=x onerror="document.title=1">\u202egnp.exe';
  const status = sceneStatus(3);
  const [first, ...rest] = status.services;
  assert.ok(first);
  const services = [{ ...first, name: hostile, stale: { reason: hostile, since: status.at - 5000 } }, ...rest];
  const sources = status.sources.map((source) => ({ ...source, down: { reason: hostile, since: status.at - 5000 } }));
  await using scene = await serveScene({ ...status, services, sources });
  await using opened = await open(scene.url);
  const { page, faults } = opened;
  await page.getByText('<img src=x onerror="document.title=1">\\u202egnp.exe').first().waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.deepEqual(faults, []);
});

const looks: Readonly<Record<string, BrowserContextOptions>> = {
  'in the light': { colorScheme: 'light' },
  'in the dark': { colorScheme: 'dark' },
  'on a telephone': { colorScheme: 'dark', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

for (const [look, options] of Object.entries(looks))
  test(`axe finds nothing to complain of on the page ${look}`, async () => {
    await using scene = await serveScene(sceneStatus(300));
    await using opened = await open(scene.url, options);
    const { page } = opened;
    await page.getByRole('table', { name: 'Services' }).waitFor();
    await page.locator('.plan').first().click();
    await page.locator('.diff').first().waitFor();
    // Not as a script of the page, which its policy would refuse.
    await page.evaluate(axe);
    const run = (): Promise<unknown> =>
      page.evaluate(
        'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, any, all }) => html.slice(0, 200) + " " + [...any, ...all].map((each) => each.message)).slice(0, 3).join(" | ")))',
      );
    await page.evaluate('location.hash = "service=payments-gateway"');
    await page.getByText('lost here').waitFor();
    assert.deepEqual(await run(), []);
    const width = (await page.evaluate('document.documentElement.scrollWidth - innerWidth')) as number;
    assert.ok(width <= 0, `the page is ${width} px wider than its window`);
  });
