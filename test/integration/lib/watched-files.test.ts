/** Changes of the config's files are seen, also in the moments around a reading. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { changesOf } from '../../../src/lib/files/watched-files.ts';
import { tempFolder } from '../../support/index.ts';

const longAgo = new Date('2020-01-01');

test('writing in place, replacing, swapping a link, rights, coming and going are changes', async () => {
  await using watched = await watching();
  const { path, next } = watched;
  const file = path('file');
  const link = path('link');
  await writeFile(path('one'), '1');
  await writeFile(path('two'), '2');
  const steps = [
    () => writeFile(file, 'longer'),
    // Whoever could not be read before may be read now.
    () => chmod(file, 0o640),
    () => sameAgain(file, 'LONGER'),
    () => writeFile(path('new'), 'other').then(() => rename(path('new'), file)),
    () => symlink('one', link),
    () => symlink('two', path('swap')).then(() => rename(path('swap'), link)),
    () => rm(file),
  ];
  watched.paths = [file, link];
  for (const step of [() => writeFile(file, 'first'), ...steps]) {
    const changed = next();
    await step();
    await changed;
  }
});

test('a path that is new among them counts as changed only where it changed since the last look', async () => {
  await using watched = await watching();
  const { path, next } = watched;
  await mkdir(path('folder'));
  await writeFile(path('folder/old'), '');
  await watched.looked();
  watched.paths = [path('folder'), path('folder/old')];
  await watched.looked();
  await watched.looked();
  assert.equal(watched.changes(), 0);
  const changed = next();
  // Read, found bad, watched from then on: and mended before anyone looked again.
  watched.paths = [...watched.paths, path('mended')];
  await writeFile(path('mended'), '');
  await utimes(path('mended'), longAgo, longAgo);
  await changed;
  assert.equal(watched.changes(), 1);
});

/** Other text of the same length, with the time stamp of the one before, as `cp -p` gives it. */
async function sameAgain(file: string, text: string): Promise<void> {
  const { atime, mtime } = await stat(file);
  await writeFile(file, text);
  await utimes(file, atime, mtime);
}

/** Follows `paths` in a folder, fast. */
async function watching() {
  const folder = await tempFolder();
  const ended = new AbortController();
  let looks = 0;
  let changes = 0;
  let waiting = Promise.withResolvers<void>();
  let looking = Promise.withResolvers<void>();
  const watched = {
    paths: [] as readonly string[],
    path: (name: string) => join(folder.path, name),
    changes: () => changes,
    /** The next change, from now on. */
    next: () => waiting.promise,
    /** Two whole looks, of which the second began after this. */
    async looked() {
      const until = looks + 2;
      while (looks < until) await looking.promise;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      await following;
      await folder[Symbol.asyncDispose]();
    },
  };
  const paths = (): readonly string[] => {
    looks += 1;
    looking.resolve();
    looking = Promise.withResolvers();
    return watched.paths;
  };
  const following = (async () => {
    for await (const _ of changesOf(paths, ended.signal, { everyMs: 60 })) {
      changes += 1;
      waiting.resolve();
      waiting = Promise.withResolvers();
    }
  })();
  return watched;
}
