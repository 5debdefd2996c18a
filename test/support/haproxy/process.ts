/** A HAProxy that runs a given config until the test is over, and is spoken to as Myelin does. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Capabilities, capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { type Info, readInfo } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { carryOut } from '../../../src/haproxy/resources/batch.ts';
import type { Verdict } from '../../../src/haproxy/resources/resource.ts';
import type { RuntimeCommand } from '../../../src/model.ts';
import { until } from '../index.ts';
import { lastOutput, startChild } from '../machine/child.ts';

export type HaproxyProcess = AsyncDisposable & {
  readonly socket: string;
  readonly capabilities: Capabilities;
  /** Sends commands and checks that this process answered. */
  run(commands: readonly RuntimeCommand[]): Promise<readonly Verdict[]>;
  hasEnded(): boolean;
};

/** The config names `admin.sock` in the folder as its stats socket. */
export async function startHaproxy(binary: string, folder: string, config: string): Promise<HaproxyProcess> {
  const file = join(folder, 'haproxy.cfg');
  const socket = join(folder, 'admin.sock');
  await writeFile(file, config);
  await writeFile(join(folder, 'servers.state'), '1\n');
  const child = await startChild([binary, '-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const words = lastOutput(child.process);
  const info = await until('HAProxy answers', async () => {
    if (child.hasEnded()) throw new Error(words());
    const found = await readInfo(socket);
    return found.pid === child.pid ? found : null;
  });
  const capabilities = capabilitiesOf(info.version);
  return {
    socket,
    capabilities,
    async run(commands) {
      const identify = (from: Info | null): void => {
        if (from?.pid !== info.pid || from.startTimeSec !== info.startTimeSec) throw new Error('another one answered');
      };
      const verdicts: Verdict[] = [];
      for await (const [, verdict] of carryOut(commands, (line) => ask(socket, [line]), identify, { capabilities }))
        verdicts.push(verdict);
      return verdicts;
    },
    hasEnded: child.hasEnded,
    [Symbol.asyncDispose]: child.kill,
  };
}

/** A config with one backend, `web`, and a frontend for it on the socket `web.sock`. */
export function configOfWeb(folder: string, backend: readonly string[], mode: 'http' | 'tcp' = 'http'): string {
  return [
    'global',
    `    stats socket ${join(folder, 'admin.sock')} mode 600 level admin`,
    'defaults',
    `    mode ${mode}`,
    '    timeout connect 5s',
    '    timeout client 5s',
    '    timeout server 5s',
    'frontend in',
    `    bind ${join(folder, 'web.sock')}`,
    '    default_backend web',
    'backend web',
    ...backend.map((line) => `    ${line}`),
    '',
  ].join('\n');
}
