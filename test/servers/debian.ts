/**
 * Programs from Debian's packages, without installing them: fetched by apt into a folder of our own, unpacked beside
 * the libraries they need, and run through their own dynamic linker. So several versions live on one machine, and
 * nothing needs root.
 */
import { execFile } from 'node:child_process';
import type { Dirent } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runCommand } from '../../src/lib/command.ts';
import { cacheFolder, lockCache } from './cache.ts';

const run = promisify(execFile);

export type DebianProgram = {
  readonly suite: 'bullseye' | 'bookworm' | 'trixie' | 'sid' | 'experimental';
  readonly package: string;
  /** Where the package has it. */
  readonly path: string;
  /** Packages that it needs beside libraries. */
  readonly with?: readonly string[];
  /** Environment of the program; `root` is where the packages are unpacked. */
  readonly env?: (root: string) => Readonly<Record<string, string>>;
  /** It finds its files, and starts itself again, by `/proc/self/exe`: so that is it, run by this machine's own linker. */
  readonly runsItself?: boolean;
};

/** Raised with every change to what is unpacked or how it is run: what was kept of before is not used any more. */
const layout = 2;

/** It has single packages, made for those of another suite. */
const madeFor: ReadonlyMap<DebianProgram['suite'], DebianProgram['suite']> = new Map([['experimental', 'sid']]);

/** Of Debian 12, where a suite's own cannot tell a program its name: HAProxy's master runs itself again by that. */
const newerLinker: readonly DebianProgram['suite'][] = ['bullseye'];

/** The path of a script that runs the program; fetched once and kept. */
export async function debianProgram(program: DebianProgram): Promise<string> {
  const name = `debian-${program.suite}-${program.package}-${process.arch}-${layout}`;
  const target = join(await cacheFolder(), name);
  const script = join(target, 'run', program.path.slice(program.path.lastIndexOf('/') + 1));
  if (await isThere(script)) return script;
  await using _ = await lockCache(name);
  if (await isThere(script)) return script;
  process.stderr.write(`fetching ${program.package} of Debian ${program.suite} into ${target}, once\n`);
  // One name, so that what an interrupted attempt left behind is cleared by the next.
  const work = `${target}.new`;
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'run'), { recursive: true });
  try {
    await unpack(program, work);
    if (newerLinker.includes(program.suite)) await unpack({ suite: 'bookworm', package: 'libc6' }, work);
    await rm(target, { recursive: true, force: true });
    await rename(work, target);
    await writeScript(program, target, script);
    return script;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** With the libraries that it needs. */
async function unpack(
  { suite, package: name, with: others = [], runsItself = false }: Omit<DebianProgram, 'path'>,
  work: string,
): Promise<void> {
  const apt = join(work, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial', 'deb'])
    await mkdir(join(apt, folder), { recursive: true });
  await writeFile(join(apt, 'status'), '');
  const rest = madeFor.get(suite);
  const suites = rest === undefined ? [suite] : [suite, rest];
  const source = await hostSource();
  await writeFile(join(apt, 'sources.list'), suites.map((each) => `deb ${source} ${each} main\n`).join(''));
  // The suite may have newer libraries too, which not all that is needed goes with.
  const pin = `Package: ${name}\nPin: release a=${suite}\nPin-Priority: 990\n`;
  await writeFile(join(apt, 'preferences'), rest === undefined ? '' : pin);
  const options = Object.entries({
    'Dir::State::Lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': join(apt, 'cache'),
    'Dir::Etc::SourceList': join(apt, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::Etc::Preferences': join(apt, 'preferences'),
    'Dir::Etc::PreferencesParts': '-',
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': process.env.USER ?? 'root',
    // An old release's lists are valid for as long as its mirror stands.
    'Acquire::Check-Valid-Until': 'false',
  }).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await run('apt-get', [...options, '-q', 'update']);
  const install = [...options, '-q', '--simulate', '--no-install-recommends', 'install', name, ...others];
  const { stdout } = await run('apt-get', install, { maxBuffer: 1e8 });
  const needed = [...stdout.matchAll(/^Inst (\S+)/gm)].flatMap(([, each = '']) =>
    each === name || others.includes(each) || (/^(?:lib|zlib1g)/.test(each) && !(runsItself && each === 'libc6'))
      ? [each]
      : [],
  );
  await run('apt-get', [...options, '-q', 'download', ...needed], { cwd: join(apt, 'deb'), maxBuffer: 1e8 });
  for (const file of await readdir(join(apt, 'deb')))
    await run('dpkg-deb', ['--extract', join(apt, 'deb', file), join(work, 'root')]);
  await rm(apt, { recursive: true, force: true });
}

async function writeScript(program: DebianProgram, target: string, script: string): Promise<void> {
  const root = join(target, 'root');
  const folders = await readdir(root, { recursive: true, withFileTypes: true });
  const all = new Set(folders.flatMap((entry) => (/\.so(\.|$)/.test(entry.name) ? [entry.parentPath] : [])));
  const { path, env = () => ({}), runsItself = false } = program;
  const variables = Object.entries({
    ...env(root),
    ...(runsItself ? { LD_LIBRARY_PATH: [...all].join(':') } : {}),
  }).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  const run = runsItself ? quoted(join(root, path)) : await byOwnLinker(root, folders, all, path);
  await writeFile(script, `#!/bin/sh\n${variables.join('')}exec ${run} "$@"\n`);
  await chmod(script, 0o755);
}

/** HAProxy's master runs its own argv[0] again: it must find the script there, not the program behind it. */
async function byOwnLinker(
  root: string,
  folders: readonly Dirent[],
  all: ReadonlySet<string>,
  path: string,
): Promise<string> {
  // Not a link to it: those are absolute in some releases, and would name this machine's own.
  const linker = folders.find((entry) => /^ld-linux.*\.so\.\d$/.test(entry.name) && entry.isFile());
  if (linker === undefined) throw new Error(`no dynamic linker among the packages of ${path}`);
  const linkerPath = join(linker.parentPath, linker.name);
  const libraries = await foldersOfNeeded(linkerPath, [...all], join(root, path));
  return `${quoted(linkerPath)} --argv0 "$0" --library-path ${quoted(libraries.join(':'))} ${quoted(join(root, path))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Those of `folders` in which the linker finds a library of the program: it looks into each for each, at every start. */
async function foldersOfNeeded(
  linker: string,
  folders: readonly string[],
  program: string,
): Promise<readonly string[]> {
  const argv = [linker, '--library-path', folders.join(':'), '--list', program];
  const { status, stdout, stderr } = await runCommand(argv, { timeoutMs: 10_000 });
  const missing = /^\s*(\S+) => not found/m.exec(stdout)?.[1];
  if (status !== 0 || missing !== undefined) throw new Error(`${program} lacks ${missing ?? stderr}`);
  const found = [...stdout.matchAll(/ => (\/.*)\/[^/]+ \(0x/g)].map(([, folder = '']) => folder);
  return [...new Set(found)];
}

/** Debian's archive as this machine's own sources name it, so that mirrors and keys are the ones that work here. */
async function hostSource(): Promise<string> {
  const files = ['/etc/apt/sources.list'];
  for (const name of await readdir('/etc/apt/sources.list.d').catch(() => []))
    if (/\.(list|sources)$/.test(name)) files.push(join('/etc/apt/sources.list.d', name));
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const block of text.split(/\n\s*\n/)) {
      const uri = /^URIs:\s*(\S+\/debian\/?)\s*$/m.exec(block)?.[1];
      const key = /^Signed-By:\s*(\/\S+)/m.exec(block)?.[1];
      if (uri !== undefined) return key === undefined ? uri : `[signed-by=${key}] ${uri}`;
    }
    const [, options = '', uri] = /^deb\s+(\[[^\]]*\]\s+)?(\S+\/debian\/?)\s/m.exec(text) ?? [];
    if (uri !== undefined) return `${options.includes('signed-by') ? options : ''}${uri}`;
  }
  throw new Error('the sources of apt on this machine name no Debian archive');
}

async function isThere(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
