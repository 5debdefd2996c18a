/** The arithmetic of file descriptors: HAProxy refuses to start, not to be checked, where its limit is too low. */
import { readFileSync } from 'node:fs';
import { hasCode } from '../../errors.ts';
import type { Problem, Section } from '../../model.ts';

/** null where there is no limit, where this user may raise it, or where it is not known. */
export function readFdLimit(): number | null {
  if (process.getuid?.() === 0) return null;
  try {
    const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return hard === undefined || hard === 'unlimited' ? null : Number(hard);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * HAProxy needs two descriptors for each connection, one for each listener and one for each checked server. HAProxy
 * needs some more, so a config refused here would certainly not start. Without `maxconn` HAProxy adapts to the limit.
 */
export function fdProblem(sections: readonly Section[], hardLimit: number | null): Problem | null {
  const lines = sections.flatMap(({ kind, text }) => text.split('\n').map((line) => ({ kind, line: line.trim() })));
  const text = lines.findLast(({ kind, line }) => kind === 'global' && /^maxconn\s+\d/.test(line))?.line ?? '';
  const connections = Number(/\d+/.exec(text)?.[0] ?? 0);
  if (hardLimit === null || connections === 0) return null;
  const listeners = lines.filter(({ line }) => /^(?:bind|stats\s+socket)\s/.test(line)).length;
  const checked = lines.filter(({ line }) => /^server\s.*\scheck(?:\s|$)/.test(line)).length;
  const needed = 2 * connections + listeners + checked;
  if (needed <= hardLimit) return null;
  const most = Math.floor((hardLimit - listeners - checked) / 2);
  return {
    message:
      `${connections} connections need ${needed} file descriptors or more, and this user may open ${hardLimit}: ` +
      `set maxconn to ${most} or less, or raise the limit (ulimit -Hn, LimitNOFILE= in a systemd unit)`,
    text,
    service: null,
    code: 'MYELIN_HAPROXY_FAILED',
  };
}
