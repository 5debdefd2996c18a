/** A browser without a window. */
import { type Browser, chromium } from 'playwright-core';
import { chromiumBinary } from '../../servers/chromium.ts';

export async function startBrowser(): Promise<AsyncDisposable & { readonly browser: Browser }> {
  const browser = await chromium.launch({
    executablePath: await chromiumBinary(),
    // Letters of grey alone: the same on every machine, and small as a picture.
    args: ['--disable-lcd-text', '--font-render-hinting=none'],
  });
  return { browser, [Symbol.asyncDispose]: () => browser.close() };
}
