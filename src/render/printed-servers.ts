/** A template that was cut off, or emptied, may be valid all the same: HAProxy would have no objection to no servers. */
import type { Service } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import type { Section } from '../model.ts';
import type { RenderResult } from './render.ts';

const lines = { server: /^\s*server(?:-template)?\s/m, bind: /^\s*bind\s/m } as const;

/**
 * Throws an AppError where new templates print none of the servers that there are, or nowhere that `services` listen, and
 * those before did.
 */
export function assertPrintsServers(
  before: readonly Section[],
  { sections, problems }: RenderResult,
  services: readonly Pick<Service, 'bind'>[],
): void {
  // Whose template fails is quarantined, and keeps what it has.
  if (problems.length > 0) return;
  const isLost = (line: RegExp): boolean => prints(before, line) && !prints(sections, line);
  if (isLost(lines.server)) throw lost('server');
  if (services.some(({ bind = [] }) => bind.length > 0) && isLost(lines.bind)) throw lost('bind');
}

function prints(sections: readonly Section[], line: RegExp): boolean {
  return sections.some(({ service, text }) => service !== null && line.test(text));
}

function lost(what: keyof typeof lines): AppError {
  return new AppError('MYELIN_TEMPLATE_INVALID', `the templates print no ${what} of any service any more`, {
    remedy: 'see that none of the files in `templates` is cut off or empty; if it is meant so, restart Myelin',
  });
}
