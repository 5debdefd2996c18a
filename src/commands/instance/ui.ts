/** `myelin ui`: the address of the page, which can be opened in a browser at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Config } from '../../config/schema.ts';
import { parseListen } from '../../config/values.ts';
import { AppError, exitCodes } from '../../errors.ts';
import { hostPort } from '../../lib/net/address.ts';
import type { Globals } from '../globals.ts';
import { askRunning } from './find.ts';

export type UiOptions = { readonly open?: true };

export async function ui(globals: Globals, { open }: UiOptions): Promise<number> {
  const { admin } = (await askRunning(globals.config, 'GET', '/api/v1/config')) as Pick<Config, 'admin'>;
  const url = pageUrl(admin.listen);
  process.stdout.write(globals.json ? `${JSON.stringify({ url })}\n` : `${url}\n`);
  if (open) await openBrowser(url);
  return exitCodes.ok;
}

/** Throws an AppError where the running Myelin has no page. */
export function pageUrl(listen: string | undefined): string {
  const parsed = listen === undefined ? null : parseListen(listen);
  if (parsed === null)
    throw new AppError('MYELIN_USAGE', 'this Myelin serves no page: its config has no admin.listen', {
      remedy: 'add `admin: { listen: "127.0.0.1:8405" }` to myelin.yaml, and restart Myelin',
    });
  const { host, port } = parsed;
  // One that listens everywhere listens here, too.
  const isAnywhere = host === null || host === '0.0.0.0' || host === '::';
  return `http://${hostPort(isAnywhere ? '127.0.0.1' : host, port)}/`;
}

async function openBrowser(url: string): Promise<void> {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  // It may end only with the browser.
  const child = spawn(program, [url], { stdio: 'ignore', detached: true });
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new AppError('MYELIN_USAGE', `no browser can be opened here: ${program} is missing`, {
      cause,
      remedy: `open ${url} yourself; from another machine through \`ssh -L\``,
    });
  }
  child.unref();
}
