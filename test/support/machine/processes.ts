/** Processes by their numbers: whether they run, and their end. */
import { readFileSync } from 'node:fs';
import { until } from '../index.ts';

export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export async function gone(pid: number): Promise<void> {
  await until(`process ${pid} is gone`, () => !isRunning(pid));
}

/** Ends it at once, unless it has ended by itself meanwhile. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}
