/** Makes the page's files of its sources. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

export type PageFiles = {
  readonly html: string;
  readonly css: string;
  readonly js: string;
  readonly svg: string;
};

const folder = join(import.meta.dirname, 'app');

/** In the order of the page. */
const styles = ['base', 'head', 'problems', 'services', 'detail', 'history', 'tables'];

/** `onModule`: called with the path of each module that the script is made of. */
export async function bundlePage(onModule: (path: string) => void = () => {}): Promise<PageFiles> {
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  const [html, svg, css] = await Promise.all([
    read('index.html'),
    read('icon.svg'),
    Promise.all(styles.map((name) => read(`styles/${name}.css`))),
  ]);
  return { html, svg, css: css.join('\n'), js: await bundleScript(onModule) };
}

async function bundleScript(onModule: (path: string) => void): Promise<string> {
  await using build = await rolldown({
    input: join(folder, 'main.tsx'),
    platform: 'browser',
    tsconfig: false,
    transform: { jsx: { runtime: 'automatic', importSource: 'preact' }, target: 'es2022' },
  });
  const { output } = await build.generate({ format: 'esm', minify: true });
  const [script] = output;
  script.moduleIds.forEach(onModule);
  return script.code;
}
