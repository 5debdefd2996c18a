/** The contract with the example of a watcher of one's own, by the test that the docs show. */
import { fileURLToPath } from 'node:url';
import { loadOwnSource } from '../../src/config/read/own-sources.ts';

// From now on `myelin/…` is what is here.
const loaded = await loadOwnSource(
  './http-json.ts',
  fileURLToPath(new URL('../../docs/watchers/example', import.meta.url)),
);
if (loaded.kind !== 'source') throw new Error(JSON.stringify(loaded));

await import('../../docs/watchers/example/http-json.test.ts');
