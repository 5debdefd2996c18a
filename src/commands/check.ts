/** `myelin check`: the config, the templates, and what HAProxy says of the result. Touches nothing that serves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { maskText } from '../config/mask.ts';
import { withOffers } from '../config/offered.ts';
import { bindAt } from '../config/read-option.ts';
import type { Config } from '../config/schema.ts';
import { AppError, exitCodes } from '../errors.ts';
import { findBinary } from '../haproxy/binary.ts';
import { type Complaint, checkConfig } from '../haproxy/check.ts';
import { notOurs } from '../haproxy/own-process.ts';
import type { Endpoint } from '../model.ts';
import { reloadOnly } from '../plan/backends.ts';
import { blame } from '../quarantine.ts';
import { type RenderResult, textOf } from '../render/render.ts';
import { loadSettings, type Settings } from '../settings.ts';
import type { Globals } from './globals.ts';
import { versionOf } from './wanted.ts';

/** In every backend, so that the options of its servers are looked at too; of a range that is for documentation. */
const example: Endpoint = { id: 'example', address: '192.0.2.1', port: 80, weight: 1, state: 'ready' };

export async function check(globals: Globals): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const { renderer } = settings;
  const config = withExampleOffers(settings.config);
  const endpoints = new Map([...config.services.keys()].map((name) => [name, [example]]));
  const version = await versionOf(config, process.env);
  const rendered = renderer.render({ config, endpoints, version, hostname: hostname() });
  if (rendered.problems.length > 0)
    throw new AppError('MYELIN_TEMPLATE_INVALID', rendered.problems.map(({ message }) => message).join('\n'));

  const haproxy = await checkWithHaproxy(settings, rendered);
  const { size } = settings.config.services;
  const byReload = takesCommands(config) ? Object.fromEntries(reloadOnly(rendered.sections)) : {};
  const result = { config: globals.config, services: size, haproxy, reloadOnly: byReload };
  if (globals.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else {
    const services = `${size} ${size === 1 ? 'service' : 'services'}`;
    process.stdout.write(`${globals.config}: ${services}, templates and config are valid\n${haproxy}\n`);
    for (const [name, what] of Object.entries(byReload))
      process.stdout.write(`${name}: each new server is a reload, because of what the backend has: ${what}\n`);
  }
  return exitCodes.ok;
}

function takesCommands({ haproxy }: Config): boolean {
  return haproxy.control === 'process' || haproxy.control === 'master';
}

/** With a service as each source may offer one, so that what they all have is looked at as well. */
function withExampleOffers(config: Config): Config {
  const services = new Map(config.services);
  for (const discovery of config.discoveries) {
    const { watcher, key, limits } = discovery;
    const name = `discovered:${watcher}${key.slice(1)}`;
    const offer = { key: `${key}/example`, name, owner: '', createdAt: 0, options: {} };
    const served = withOffers(config, [{ discovery, offer }]);
    const [unserved] = served.unserved;
    if (unserved !== undefined) throw new AppError('MYELIN_CONFIG_INVALID', `discover.${watcher}: ${unserved.reason}`);
    const example = served.config.services.get(name);
    // Whether a port is free is not asked here.
    const bind = limits.ports === undefined ? [] : [bindAt(limits, limits.ports.first)];
    if (example !== undefined) services.set(name, { ...example, bind });
  }
  return { ...config, services };
}

/** Throws MYELIN_CONFIG_REJECTED in HAProxy's words. Where HAProxy is elsewhere, its absence here is no fault. */
async function checkWithHaproxy({ config, secrets }: Settings, rendered: RenderResult): Promise<string> {
  const { control, binary: name, passEnv } = config.haproxy;
  const binary = await findBinary(name, process.env.PATH).catch((error: unknown) => {
    if (control === 'process' || !(error instanceof AppError)) throw error;
    return null;
  });
  if (binary === null) return `not checked by HAProxy: there is no ${name} on this machine (control: ${control})`;

  const folder = await mkdtemp(join(tmpdir(), 'myelin-check-'));
  try {
    const file = join(folder, 'haproxy.cfg');
    await writeFile(file, textOf(rendered), { mode: 0o600 });
    const refused: readonly Complaint[] = control === 'process' ? notOurs(rendered.sections) : [];
    const complaints = [...(await checkConfig(binary.path, [file], { timeoutMs: 60_000, passEnv })), ...refused];
    if (complaints.length === 0) return `HAProxy ${binary.version.text} accepts it`;
    const lines = complaints.map(({ message, line }) => {
      const service = blame(message, line, rendered.sections);
      return `  ${service === null ? '' : `service ${service}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
    });
    throw new AppError(
      'MYELIN_CONFIG_REJECTED',
      maskText(`HAProxy ${binary.version.text} rejects the config:\n${lines.join('\n')}`, secrets),
      { remedy: '`myelin render --snapshot FILE` prints the text; mend the lines in myelin.yaml or the template' },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
