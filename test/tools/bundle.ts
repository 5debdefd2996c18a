/**
 * The command line as it is published, in few files: a command loads what it needs, and does not look for it. Names stay
 * those of the sources, so that stack traces can be read; the lines they lead to by the source maps.
 */
import { globSync, readFileSync } from 'node:fs';
import { chmod, cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { type OutputChunk, type Plugin, rolldown } from 'rolldown';
import { bundlePage } from '../../src/page/bundle.ts';
import { precompile } from '../../src/render/templates/engine.ts';

const root = resolve(import.meta.dirname, '../..');

/** What is run, or imported by others, by its own path (`src/lib/own-package.ts`). */
const entries = [
  'src/cli',
  'src/demo/load',
  'watchers/file/parse-worker',
  'watchers/public/contract',
  'watchers/public/watcher',
];

/** What the sources compile as they start. */
const precompiledTemplates: Plugin = {
  name: 'precompiled-templates',
  load: {
    filter: { id: /\/src\/render\/templates\/precompiled\.ts$/ },
    handler: () => {
      const texts = globSync(join(root, 'templates/*.hbs')).map((path) => readFileSync(path, 'utf8'));
      const entries = texts.map((text) => `[${JSON.stringify(text)}, ${precompile(text)}]`);
      return `export const precompiled = new Map([${entries.join(',')}]);`;
    },
  },
};

/** What the sources make on demand. */
const bundledPage = (onModule: (path: string) => void): Plugin => ({
  name: 'bundled-page',
  load: {
    filter: { id: /\/src\/page\/files\.ts$/ },
    handler: async () => `export const files = ${JSON.stringify(await bundlePage(onModule))};`,
  },
});

/** Requests to the API server are Myelin's own (`watchers/kubernetes/api`): the package's client for them, 1 MB of code, is left out. */
const withoutUndici: Plugin = {
  name: 'without-undici',
  resolveId: (id) => (id === 'undici' ? '\0undici' : null),
  load: (id) =>
    id === '\0undici'
      ? 'function absent() { throw new Error("undici is not part of Myelin"); }\nexport { absent as Agent, absent as ProxyAgent, absent as fetch };'
      : null,
};

/** As it is installed, in `folder`. The path of its command. */
export async function installPackage(folder: string): Promise<string> {
  await bundle(join(folder, 'dist'));
  for (const name of ['package.json', 'templates']) await cp(join(root, name), join(folder, name), { recursive: true });
  return join(folder, 'dist/src/cli.js');
}

/** Writes it to `folder`. */
export async function bundle(folder: string): Promise<readonly OutputChunk[]> {
  const modules: string[] = [];
  await using build = await rolldown({
    cwd: root,
    input: Object.fromEntries(entries.map((path) => [path, `${path}.ts`])),
    platform: 'node',
    tsconfig: false,
    // It does not say so itself; nothing is left of the hundreds of kinds of objects that it knows.
    treeshake: { moduleSideEffects: [{ test: /@kubernetes\/client-node/, sideEffects: false }] },
    plugins: [precompiledTemplates, bundledPage((path) => modules.push(path)), withoutUndici, lazyBuiltins],
  });
  const { output } = await build.write({
    dir: folder,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    sourcemap: true,
    // They are in the package of that version's sources.
    sourcemapExcludeSources: true,
  });
  await chmod(join(folder, 'src/cli.js'), 0o755);
  const chunks = output.filter((file) => file.type === 'chunk');
  modules.push(...chunks.flatMap(({ moduleIds }) => moduleIds));
  await writeFile(join(folder, 'LICENSES'), await licencesOf(modules));
  return chunks;
}

/** They ask to be handed on with the code. */
async function licencesOf(modules: readonly string[]): Promise<string> {
  const packages = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []));
  const texts = await Promise.all(
    [...packages].sort().map(async (path) => {
      const { name, version, license } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as Published;
      const file = (await readdir(path)).find((each) => /^licen[cs]e/i.test(each));
      const text = file === undefined ? '' : await readFile(join(path, file), 'utf8');
      return `${name} ${version} (${license})\n\n${text.trim()}\n`;
    }),
  );
  return texts.join('\n---\n\n');
}

type Published = { readonly name: string; readonly version: string; readonly license: string };

/**
 * An `import` of a module of Node, and a `require` in one, reads all that it exports, and so loads what Node would load
 * when it is used: with `node:http` a second HTTP client. `process.getBuiltinModule` does not.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  renderChunk: (code) => ({
    code: code
      .replaceAll(/^import (.+) from "([\w:/]+)";$/gm, (statement, clause: string, name: string) =>
        isBuiltin(name) ? `const ${declared(clause, builtin(name))};` : statement,
      )
      .replaceAll(/\b__require\("([\w:/]+)"\)/g, (call, name: string) => (isBuiltin(name) ? builtin(name) : call)),
    // Every line stays where it was.
    map: null,
  }),
};

function builtin(name: string): string {
  // Packages have variables of their own by the name of `process`.
  return `globalThis.process.getBuiltinModule("${name}")`;
}

/** `a, { b as c }` as a declaration has it; what a module of Node has as its default is the module itself. */
function declared(clause: string, value: string): string {
  const [, whole, names] = /^(?:(?:\* as )?([\w$]+)(?:, |$))?(\{.*\})?$/.exec(clause) ?? [];
  return [whole, names?.replaceAll(' as ', ': ')]
    .flatMap((each) => (each === undefined ? [] : `${each} = ${value}`))
    .join(', ');
}
