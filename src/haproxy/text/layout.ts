/** How sections are written as `haproxy.cfg`. */
import type { Section } from '../../model.ts';
import { isFile } from './files.ts';

/** The bytes of `haproxy.cfg`; files beside it are not among them. */
export function textOf(sections: readonly Section[]): string {
  return sections.map((section) => (isFile(section) ? '' : section.text)).join('');
}
