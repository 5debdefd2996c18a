/** The processes that a program started, however many steps away: they were given its folder for temporary files. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { until } from '../support/index.ts';
import { kill } from '../support/machine/processes.ts';

/** Ends them, and those that they start meanwhile. */
export async function endProcessesOf(folder: string): Promise<void> {
  await until(`every process of ${folder} is gone`, async () => {
    const left = await processesOf(folder);
    for (const pid of left) kill(pid);
    return left.length === 0;
  });
}

export async function processesOf(folder: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`);
  const found = await Promise.all(pids.map(async (pid) => ((await isOf(pid, folder)) ? [Number(pid)] : [])));
  return found.flat();
}

/** HAProxy is given neither its starter's environment nor its process group: but it runs there, with a file from there. */
async function isOf(pid: string, folder: string): Promise<boolean> {
  const nothing = (): string => '';
  const [environment, command, cwd] = await Promise.all([
    readFile(`/proc/${pid}/environ`, 'utf8').catch(nothing),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(nothing),
    readlink(`/proc/${pid}/cwd`).catch(nothing),
  ]);
  const isInside = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return (
    isInside(cwd) ||
    environment.split('\0').some((one) => one.startsWith('TMPDIR=') && isInside(one.slice('TMPDIR='.length))) ||
    command.split('\0').some(isInside)
  );
}
