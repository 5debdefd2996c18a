/** The pages for users, and what stands in them: blocks of code, commands, headings, links. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

export type Page = { readonly path: string; readonly text: string };

/** Decisions tell of the time at which they were made, and are no pages for users. */
export const pages: readonly Page[] = globSync(
  ['*.md', 'bench/*.md', 'deploy/**/*.md', 'docs/*.md', 'docs/{guides,reference,watchers}/*.md'],
  { cwd: root },
)
  .filter((path) => path !== 'CHANGELOG.md')
  .sort()
  .map(page);

export function page(path: string): Page {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

export type Block = { readonly place: string; readonly text: string };

/** The blocks of code of one language, such as `yaml`. */
export function blocksOf({ path, text }: Page, language: string): readonly Block[] {
  return [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))].map(
    ({ index, 1: indent = '', 2: block = '' }) => ({
      place: `${path}:${text.slice(0, index).split('\n').length + 1}`,
      text: block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
}

/** What stands between single backticks outside of blocks. */
export function inlineCodeOf({ path, text }: Page): readonly Block[] {
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, (block) => block.replaceAll(/[^\n]/g, ''));
  return [...prose.matchAll(/`([^`]+)`/g)].map(({ index, 1: code = '' }) => ({
    place: `${path}:${prose.slice(0, index).split('\n').length}`,
    text: code.replaceAll(/\s+/g, ' '),
  }));
}

/** The addresses at which a browser finds the headings of a page, as GitHub makes them. */
export function anchorsOf({ text }: Page): ReadonlySet<string> {
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
  return new Set(headings);
}

export type Link = { readonly path: string; readonly anchor: string | null };

/** Where a page leads to within the project, by paths from the top. */
export function linksOf({ path, text }: Page): readonly Link[] {
  const prose = text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [to = '', anchor = null] = target.split('#');
      return { path: to === '' ? path : join(path, '..', to), anchor };
    });
}
