/** A template that was cut off, or emptied, may be valid all the same: HAProxy would have no objection to no servers. */
import { AppError } from '../errors.ts';
import type { Section } from '../model.ts';
import type { RenderResult } from './render.ts';

/** Throws an AppError where new templates print none of the servers that there are, and those before did. */
export function assertPrintsServers(before: readonly Section[], { sections, problems }: RenderResult): void {
  // Whose template fails is set apart, and keeps what it has.
  if (problems.length > 0 || !prints(before) || prints(sections)) return;
  throw new AppError('MYELIN_TEMPLATE_INVALID', 'the templates print no server of any service any more', {
    remedy: 'see that none of the files in `templates` is cut off or empty; if it is meant so, restart Myelin',
  });
}

function prints(sections: readonly Section[]): boolean {
  return sections.some(({ service, text }) => service !== null && /^\s*server(?:-template)?\s/m.test(text));
}
