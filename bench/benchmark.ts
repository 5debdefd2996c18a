/**
 * Every benchmark begins with it. A benchmark runs in a process of its own that ends with all that it started: when it is
 * over, at its limit, and when whoever started it is stopped or killed.
 */
import type { Ms } from '../src/model.ts';
import { describeEnding, runGroup } from '../test/tools/group.ts';
import { guardedFolder } from '../test/tools/guard.ts';
import { provideFor } from '../test/tools/provide.ts';
import { stopSignal } from '../test/tools/stop.ts';

type Limits = {
  /** For messages, such as `bench:latency`. */
  readonly name: string;
  readonly limitMs: Ms;
};

const variable = 'MYELIN_BENCHMARK';

/** Returns in the process that measures. The one that was started runs that, and ends with its exit code. */
export async function benchmark({ name, limitMs }: Limits): Promise<void> {
  if (process.env[variable] === name) return;
  process.exit(await supervise(name, limitMs));
}

async function supervise(name: string, limitMs: Ms): Promise<number> {
  const [, program = ''] = process.argv;
  await provideFor([program], (line) => process.stderr.write(`${line}\n`));
  await using folder = await guardedFolder();
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const env = { ...process.env, [variable]: name };
  const { ending, left } = await runGroup(argv, { folder: folder.path, limitMs, env, signal: stopSignal() });
  const isOver = ending.kind === 'exit' && ending.by === null;
  if (!isOver) process.stderr.write(`✖ ${name} ${describeEnding(ending)}\n`);
  if (left !== null) process.stderr.write(`✖ ${name} ${left}\n`);
  return isOver ? (ending.code ?? 1) : 1;
}
