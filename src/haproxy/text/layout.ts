/** How sections are written as `haproxy.cfg`. */
import type { FileBeside } from '../../lib/files/files-beside.ts';
import type { Section } from '../../model.ts';
import { filesIn, isFile } from './files.ts';

/** The bytes of `haproxy.cfg`; files beside it are not among them. */
export function textOf(sections: readonly Section[]): string {
  return sections.map((section) => (isFile(section) ? '' : section.text)).join('');
}

/** `haproxy.cfg` and the files beside it. */
export function layoutOf(sections: readonly Section[]): Layout {
  return { text: textOf(sections), files: filesIn(sections) };
}

type Layout = { readonly text: string; readonly files: readonly FileBeside[] };
