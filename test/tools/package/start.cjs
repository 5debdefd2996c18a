// What the single executable runs first, and each of its threads: modules are found among its assets, as if they lay in a
// folder in the executable's place. Plain CommonJS, as Node wants it there.
const { createRequire, registerHooks } = require('node:module');
const { getAsset } = require('node:sea');
const { pathToFileURL } = require('node:url');
const { runInThisContext } = require('node:vm');
const { isMainThread } = require('node:worker_threads');

const root = pathToFileURL(`${process.execPath}/`).href;

registerHooks({
  resolve(specifier, context, next) {
    const isOwn = specifier.startsWith('.') && context.parentURL?.startsWith(root);
    const url = isOwn ? new URL(specifier, context.parentURL).href : specifier;
    return url.startsWith(root) ? { url, format: 'module', shortCircuit: true } : next(specifier, context);
  },
  load(url, context, next) {
    if (!url.startsWith(root)) return next(url, context);
    return { source: getAsset(url.slice(root.length), 'utf8'), format: 'module', shortCircuit: true };
  },
});

const [, , option, program] = process.argv;
// As `node -e PROGRAM`: Myelin starts a process or two of its own in this way.
if (isMainThread && option === '-e') runInThisContext(program);
else {
  // An `import()` in this file would look among Node's own modules alone.
  const { load } = createRequire(root)(`${root}load.js`);
  load(isMainThread ? `${root}dist/src/cli.js` : process.argv.at(-1));
}
