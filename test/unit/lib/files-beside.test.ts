import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ConfigFile, configFile, tryOut } from '../../../src/lib/files/config-file.ts';
import { tempFolder } from '../../support/index.ts';

/** What stands in the folder, temporary files among it, by path. */
async function contents(folder: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(folder, { recursive: true })).sort();
  const read = names.map(async (name): Promise<readonly (readonly [string, string])[]> => {
    const path = join(folder, name);
    return (await stat(path)).isFile() ? [[name, await readFile(path, 'utf8')]] : [];
  });
  return Object.fromEntries((await Promise.all(read)).flat());
}

type Version = Readonly<Record<string, string>>;

const before: Version = { 'haproxy.cfg': 'before maps/a maps/gone\n', 'maps/a': 'a before\n', 'maps/gone': 'gone\n' };
const after: Version = { 'haproxy.cfg': 'after maps/a maps/new\n', 'maps/a': 'a after\n', 'maps/new': 'new\n' };

class Site implements AsyncDisposable {
  readonly folder: string;
  readonly #end: AsyncDisposable;

  private constructor(folder: string, end: AsyncDisposable) {
    this.folder = folder;
    this.#end = end;
  }

  static async with(version: Version): Promise<Site> {
    const folder = await tempFolder();
    const site = new Site(folder.path, folder);
    const { text, files } = site.layout(version);
    await site.open().write(text, files);
    return site;
  }

  /** As a Myelin that starts does. */
  open(): ConfigFile {
    return configFile(join(this.folder, 'haproxy.cfg'), { folders: [join(this.folder, 'maps')] });
  }

  layout(version: Version) {
    const files = Object.entries(version)
      .filter(([name]) => name !== 'haproxy.cfg')
      .map(([name, text]) => ({ path: join(this.folder, name), text, mode: 0o640 }));
    return { text: this.named(version), files };
  }

  /** The config names the files by their whole paths. */
  named(version: Version): string {
    return (version['haproxy.cfg'] ?? '').replaceAll('maps/', join(this.folder, 'maps/'));
  }

  async assertIs(version: Version): Promise<void> {
    assert.deepEqual(await contents(this.folder), { ...version, 'haproxy.cfg': this.named(version) });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#end[Symbol.asyncDispose]());
  }
}

async function propose(site: Site, file: ConfigFile): Promise<void> {
  const { text, files } = site.layout(after);
  await file.propose(text, files);
}

describe('Files beside a config', () => {
  it('are in their places from the proposal on, and those of before go when it is committed', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    await propose(site, file);
    assert.equal(await readFile(join(site.folder, 'maps/a'), 'utf8'), 'a after\n');
    assert.equal(await readFile(join(site.folder, 'maps/gone'), 'utf8'), 'gone\n');
    await file.accept();
    await file.commit();
    await site.assertIs(after);
  });

  it('are as before once the candidate is refused, given up or only tried out', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    await propose(site, file);
    await file.discard();
    await site.assertIs(before);
    await tryOut(file, site.layout(after), async () => {
      assert.equal(await readFile(join(site.folder, 'maps/new'), 'utf8'), 'new\n');
    });
    await site.assertIs(before);
    await propose(site, file);
    await file.reject();
    assert.equal(await readFile(`${file.path}.rejected`, 'utf8'), site.named(after));
    await rm(`${file.path}.rejected`);
    await site.assertIs(before);
  });

  it('are as before once what was accepted is refused after all', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    await propose(site, file);
    await file.accept();
    await file.rejectAccepted();
    await rm(`${file.path}.rejected`);
    await site.assertIs(before);
  });

  it('follow without a candidate too, and nothing is written where nothing changed', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    const { text, files } = site.layout(before);
    assert.equal(await file.write(text, files), false);
    const next = site.layout({ ...before, 'maps/a': 'a new entry\n' });
    assert.equal(await file.write(next.text, next.files), true);
    await site.assertIs({ ...before, 'maps/a': 'a new entry\n' });
  });

  it('stay where the config names them although nobody knows of them', async () => {
    await using site = await Site.with(before);
    await site.open().write(site.named(before), []);
    await site.assertIs(before);
  });

  it('have a mode of their own, and a folder that lets in those who may read them', async () => {
    await using site = await Site.with(before);
    const file = configFile(join(site.folder, 'haproxy.cfg'), { folders: [join(site.folder, 'certs')] });
    const path = join(site.folder, 'certs/a.pem');
    await file.write('certs/a.pem', [{ path, text: 'KEY\n', mode: 0o600 }]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(site.folder, 'certs'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(site.folder, 'maps'))).mode & 0o777, 0o750);
  });

  it('tell when somebody else has written one of them', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    await file.write(site.layout(before).text, site.layout(before).files);
    const stamp = await file.stampOfAll();
    assert.equal(await file.stampOfAll(), stamp);
    await writeFile(join(site.folder, 'maps/a'), 'by hand\n');
    assert.notEqual(await file.stampOfAll(), stamp);
  });

  it('that cannot be written leave all as before', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    const { text, files } = site.layout(after);
    await mkdir(join(site.folder, 'maps/new'));
    await assert.rejects(file.propose(text, files), { code: 'MYELIN_WRITE_FAILED' });
    await rm(join(site.folder, 'maps/new'), { recursive: true });
    await site.assertIs(before);
  });
});

/** Every state of the folder between two steps on the disk, as a kill would leave it. */
async function statesOf(site: Site, work: () => Promise<unknown>): Promise<readonly string[]> {
  const states: string[] = [];
  const kept = `${site.folder}.states`;
  let isOver = false;
  const copy = async (): Promise<void> => {
    const state = join(kept, `${states.length}`);
    // What vanishes while it is copied makes a state that never was.
    await cp(site.folder, state, { recursive: true }).then(
      () => states.push(state),
      () => {},
    );
  };
  const done = work().finally(() => {
    isOver = true;
  });
  while (!isOver) await copy();
  await done;
  await copy();
  return states;
}

describe('A Myelin that starts after a kill', () => {
  it('finds the files of before where nothing was accepted, at whichever step it was', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    const states = await statesOf(site, () => propose(site, file));
    for (const state of states) {
      // Here, because what was kept knows its places by their whole paths.
      await rm(site.folder, { recursive: true });
      await cp(state, site.folder, { recursive: true });
      const again = site.open();
      await again.discard();
      assert.equal(await again.isUncommitted(), false);
      const { text, files } = site.layout(before);
      await again.write(text, files);
      await site.assertIs(before);
    }
    await rm(`${site.folder}.states`, { recursive: true });
  });

  it('has the files go the way of the config, to and fro, where it was accepted', async () => {
    for (const decision of ['commit', 'putBack'] as const) {
      await using site = await Site.with(before);
      const first = site.open();
      await propose(site, first);
      await first.accept();
      const again = site.open();
      await again.discard();
      assert.equal(await again.isUncommitted(), true);
      await again[decision]();
      await site.assertIs(decision === 'commit' ? after : before);
    }
  });

  it('leaves what a file names that the config names', async () => {
    const version = { 'haproxy.cfg': 'config maps/list\n', 'maps/list': '', 'maps/named': 'named\n' };
    await using site = await Site.with(version);
    const list = join(site.folder, 'maps/named');
    await writeFile(join(site.folder, 'maps/list'), list);
    await writeFile(join(site.folder, 'maps/other'), 'other');
    await site.open().commit();
    await site.assertIs({ ...version, 'maps/list': list });
  });

  it('goes on with a candidate of its own where the list of what was there is damaged', async () => {
    for (const list of ['', '[{"path"', '{}', '[{"path":7}]']) {
      await using site = await Site.with(before);
      await propose(site, site.open());
      await writeFile(join(site.folder, 'haproxy.cfg.previous-files/index.json'), list);
      const again = site.open();
      await again.discard();
      await propose(site, again);
      await again.accept();
      await again.commit();
      await site.assertIs(after);
    }
  });

  it('puts back the rest of what was put back in part', async () => {
    await using site = await Site.with(before);
    const file = site.open();
    await propose(site, file);
    await file.accept();
    const kept = join(site.folder, 'haproxy.cfg.previous-files');
    await rename(join(kept, '0'), join(site.folder, 'maps/a'));
    await site.open().putBack();
    await site.assertIs(before);
  });
});
