/** `npm run screenshots [-- NAME…]`: the pictures of the page in `docs/images`, of a made-up morning: the same each time. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { startBrowser } from '../support/page/browser.ts';
import { serveScene } from '../support/page/scene-server.ts';
import { sceneStatus } from '../support/values/scene.ts';

const folder = resolve(import.meta.dirname, '../../docs/images');
const desktop = { width: 1280, height: 900 };
const phone = { width: 390, height: 844 };

type Shot = {
  readonly name: string;
  readonly options: BrowserContextOptions;
  readonly isWell?: true;
  readonly act?: (page: Page) => Promise<void>;
};

const shots: readonly Shot[] = [
  { name: 'page-light', options: { viewport: desktop, colorScheme: 'light' } },
  {
    name: 'page-dark',
    options: { viewport: desktop, colorScheme: 'dark' },
    act: (page) => page.locator('#time').evaluate((part) => part.scrollIntoView({ behavior: 'instant' })),
  },
  { name: 'page-phone', options: { viewport: phone, colorScheme: 'light', deviceScaleFactor: 1.5, isMobile: true } },
  { name: 'page-well', options: { viewport: desktop, colorScheme: 'light' }, isWell: true },
  {
    name: 'page-service',
    options: { viewport: { width: 1180, height: 640 }, colorScheme: 'light' },
    act: async (page) => {
      await page.getByRole('link', { name: 'payments-gateway' }).first().click();
      await page.getByText('lost here').waitFor();
    },
  },
];

const chosen = process.argv.slice(2);
await mkdir(folder, { recursive: true });
await using started = await startBrowser();
for (const { name, options, isWell = false, act } of shots) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  await using scene = await serveScene(sceneStatus(2000, isWell));
  const context = await started.browser.newContext({ ...options, timezoneId: 'UTC', locale: 'en-GB' });
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${name}: ${error.stack}\n`));
  page.on('console', (message) => message.type() === 'error' && process.stderr.write(`${name}: ${message.text()}\n`));
  await page.goto(scene.url);
  await page.getByRole('heading', { name: 'Last plans' }).waitFor();
  await page.getByText('(bind_changed)').first().waitFor();
  await act?.(page);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await context.close();
}
