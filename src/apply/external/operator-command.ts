/** A command of the operator that checks the config file, or makes HAProxy read it. */
import { AppError, describe } from '../../errors.ts';
import { parseAlerts } from '../../haproxy/binary/check.ts';
import { describeExit, lastLines, runCommand } from '../../lib/command.ts';
import { environmentFor } from '../../lib/environment.ts';
import type { Problem, Section } from '../../model.ts';
import type { DriverOptions } from '../driver.ts';
import { toProblems } from '../problems.ts';

type About = Pick<DriverOptions, 'config' | 'env'> & {
  /** Of the file that it is about. */
  readonly path: string;
  readonly sections: readonly Section[];
  readonly signal: AbortSignal;
};

/** What the command complains about; nothing where it succeeds. */
export async function complaintsOf(
  command: readonly string[],
  { path, sections, config, env, signal }: About,
): Promise<readonly Problem[]> {
  const argv = command.map((word) => word.replaceAll('{file}', path));
  const { reload, haproxy } = config;
  const its = { timeoutMs: reload.startTimeout, signal, env: await environmentFor(env, [path], haproxy.passEnv) };
  const finished = await runCommand(argv, its).catch((cause: unknown) => {
    if (signal.aborted) throw cause;
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${argv[0]} cannot be run: ${describe(cause)}`, {
      cause,
      remedy: 'haproxy.checkCommand and haproxy.reloadCommand name the program first, then its arguments; no shell',
    });
  });
  if (finished.status === 0) return [];
  const output = `${finished.stderr}\n${finished.stdout}`;
  const problems = toProblems(parseAlerts(output), sections, [path]);
  if (problems.length > 0) return problems;
  return [{ message: `${argv.join(' ')}: ${describeExit(finished)}: ${lastLines(output)}`, service: null }];
}
