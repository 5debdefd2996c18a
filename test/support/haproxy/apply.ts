/** What the tests of apply share: a hand-made config, and a control over the real HAProxy. */
import { join } from 'node:path';
import type { DriverOptions, ManagedDriver, Outcome } from '../../../src/apply/driver.ts';
import type { DriverEvent } from '../../../src/apply/driver-event.ts';
import { openDriver } from '../../../src/apply/open-driver.ts';
import type { Config } from '../../../src/config/schema.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Plan, Rendered, Section } from '../../../src/model.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort, tempFolder } from '../index.ts';
import { haproxyDefaults, reloadDefaults } from '../values/driver-config.ts';

export const reload: Plan = { kind: 'reload', reasons: [{ code: 'operator_request' }] };
export const never = new AbortController().signal;

export type Setup = AsyncDisposable & {
  readonly folder: string;
  readonly file: string;
  readonly state: string;
  readonly events: readonly DriverEvent[];
  /** How often a reconcile was asked for. */
  readonly changes: () => number;
  open(overrides?: Overrides): Promise<ManagedDriver>;
};

type Overrides = {
  readonly haproxy?: Partial<Config['haproxy']>;
  readonly reload?: Partial<Config['reload']>;
};

/** In a folder of its own, unless one is given. Whatever HAProxy runs from there at the end is ended. */
export async function setup(given?: string): Promise<Setup> {
  await using own = new AsyncDisposableStack();
  const folder = given ?? own.use(await tempFolder()).path;
  const binary = await haproxy();
  const state = join(folder, 'state');
  const file = join(folder, 'haproxy.cfg');
  const events: DriverEvent[] = [];
  let changes = 0;
  const opened: ManagedDriver[] = [];
  let latest: Overrides = {};
  const open = async (overrides: Overrides = {}): Promise<ManagedDriver> => {
    const control = await openDriver(options(overrides), never);
    opened.push(control);
    latest = overrides;
    return control;
  };
  const options = (overrides: Overrides): DriverOptions => ({
    whyNoTakeover: () => null,
    config: {
      state,
      haproxy: {
        ...haproxyDefaults,
        binary,
        config: file,
        statsSocket: join(folder, 'admin.sock'),
        ...overrides.haproxy,
      },
      reload: { ...reloadDefaults, ...overrides.reload },
      file: { maxLag: 200 },
      drainTimeout: 600_000,
      drift: 'repair',
    },
    env: process.env,
    onChange: () => {
      changes += 1;
    },
    onEvent: (event) => events.push(event),
  });
  const atEnd = own.move();
  return {
    folder,
    file,
    state,
    events,
    changes: () => changes,
    open,
    async [Symbol.asyncDispose]() {
      await using _folder = atEnd;
      await Promise.all(opened.map((control) => control[Symbol.asyncDispose]()));
      const last = await open({ haproxy: { ...latest.haproxy, stopGrace: 0, binary } });
      await last.stop();
      await last[Symbol.asyncDispose]();
    },
  };
}

export type Web = {
  readonly name?: string;
  readonly bind: string;
  readonly servers?: readonly string[];
  readonly frontend?: readonly string[];
  readonly backend?: readonly string[];
};

/** A config such as the templates make; each service's sections are owned by it. */
export function rendered(
  setup: Pick<Setup, 'folder' | 'state'>,
  services: readonly Web[],
  global: readonly string[] = [],
): Rendered {
  const shared = [
    'global',
    `    stats socket ${join(setup.folder, 'admin.sock')} mode 600 level admin expose-fd listeners`,
    '    noreuseport',
    '    hard-stop-after 30s',
    `    server-state-file ${join(setup.state, 'servers.state')}`,
    ...global.map((line) => `    ${line}`),
    'defaults',
    '    mode http',
    '    option idle-close-on-response',
    '    load-server-state-from-file global',
    '    timeout connect 2s',
    '    timeout client 20s',
    '    timeout server 20s',
    '    timeout http-keep-alive 2s',
    '',
  ].join('\n');
  return { sections: [...splitSections(shared), ...services.flatMap(sectionsOfWeb)] };
}

function sectionsOfWeb({ name = 'web', bind, servers, frontend = [], backend = [] }: Web): readonly Section[] {
  const indent = (lines: readonly string[]): string => lines.map((line) => `    ${line}\n`).join('');
  const front = `frontend ${name}:in\n${indent([`bind ${bind}`, `default_backend ${name}`, ...frontend])}`;
  // Without servers it answers by itself, with its name.
  const own = servers === undefined ? [`http-request return status 200 content-type text/plain string ${name}`] : [];
  return splitSections(`${front}backend ${name}\n${indent([...own, ...backend, ...(servers ?? [])])}`, name);
}

type Serving = {
  readonly control: ManagedDriver;
  readonly port: number;
  readonly wanted: Rendered;
  readonly pid: number;
};

/** Under a new control one service is served, on a port of its own. */
export async function serveWeb(my: Setup, name = 'web', overrides: Overrides = {}): Promise<Serving> {
  const port = await freePort();
  const wanted = rendered(my, [{ name, bind: `127.0.0.1:${port}` }]);
  const control = await my.open(overrides);
  applied(await control.apply(wanted, reload, never));
  return { control, port, wanted, pid: pidOf(control) };
}

/** Fails with what went wrong. */
export function applied(outcome: Outcome): void {
  if (outcome.kind === 'applied') return;
  throw outcome.kind === 'failed' ? outcome.error : new Error(JSON.stringify(outcome));
}

export const text = ({ sections }: Rendered): string => textOf(sections);

export function pidOf(control: ManagedDriver): number {
  const pid = control.running?.process?.pid;
  if (pid === undefined) throw new Error('nothing runs');
  return pid;
}
