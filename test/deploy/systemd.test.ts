/** The units of deploy/systemd, as systemd reads them. */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/lib/command.ts';
import { tempFolder } from '../support/index.ts';

const folder = fileURLToPath(new URL('../../deploy/systemd', import.meta.url));
const kinds = ['master', 'process'] as const;

/** Debian's unit as far as the drop-in is about it. */
const haproxyUnit = `[Service]
Type=notify
Environment="CONFIG=/etc/haproxy/haproxy.cfg" "PIDFILE=/run/haproxy.pid" "EXTRAOPTS=-S /run/haproxy-master.sock"
ExecStart=/bin/true -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS
`;

/** The units with a program that every machine has in place of Myelin, which systemd would miss. */
async function copied(kind: (typeof kinds)[number]): Promise<AsyncDisposable & { readonly path: string }> {
  const copy = await tempFolder();
  await cp(join(folder, kind), copy.path, { recursive: true });
  const unit = join(copy.path, 'myelin.service');
  await writeFile(unit, (await readFile(unit, 'utf8')).replace('/usr/local/bin/myelin', '/bin/true'));
  if (kind === 'master') await writeFile(join(copy.path, 'haproxy.service'), haproxyUnit);
  return copy;
}

async function analyze(t: TestContext, ...args: readonly string[]): Promise<string | null> {
  try {
    const { status, stdout, stderr } = await runCommand(['systemd-analyze', ...args], { timeoutMs: 30_000 });
    assert.equal(status, 0, stderr);
    // It succeeds although it does not know a key, and says so.
    assert.equal(stderr, '');
    return stdout;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    t.skip('systemd-analyze is not on this machine');
    return null;
  }
}

for (const kind of kinds) {
  test(`${kind}: systemd understands every line`, async (t) => {
    await using units = await copied(kind);
    for (const unit of (await readdir(units.path)).filter((name) => name.endsWith('.service')))
      await analyze(t, 'verify', '--man=no', join(units.path, unit));
  });

  test(`${kind}: little of the machine is exposed`, async (t) => {
    await using units = await copied(kind);
    const said = await analyze(t, 'security', '--no-pager', '--offline=true', join(units.path, 'myelin.service'));
    if (said === null) return;
    const [, level] = /Overall exposure level for myelin\.service: (\d+\.\d)/.exec(said) ?? [];
    assert.ok(Number(level) <= 2.5, said);
  });
}

test('HAProxy goes on when Myelin is stopped, as systemd ends the one process alone or never had both', async () => {
  const process = await readFile(join(folder, 'process/myelin.service'), 'utf8');
  assert.match(process, /^KillMode=process$/m);
  assert.match(process, /^RuntimeDirectoryPreserve=yes$/m);
  const beside = await readFile(join(folder, 'master/myelin.service'), 'utf8');
  assert.doesNotMatch(beside, /^(Requires|BindsTo|PartOf|Wants|Requisite)=.*haproxy/m);
});

test('the group of Myelin’s user, and nobody else, may use the socket of HAProxy’s master', async () => {
  const dropIn = await readFile(join(folder, 'master/haproxy.service.d/myelin.conf'), 'utf8');
  const unit = await readFile(join(folder, 'master/myelin.service'), 'utf8');
  const [, group] = /^Group=(\w+)$/m.exec(unit) ?? [];
  assert.match(dropIn, new RegExp(`-S /run/haproxy-master\\.sock,mode,660,level,admin,group,${group}"`));
});

test('a Myelin that starts HAProxy itself sees neither the temporary files nor the processes of others', async () => {
  const unit = await readFile(join(folder, 'process/myelin.service'), 'utf8');
  assert.match(unit, /^PrivateTmp=true$/m);
  assert.match(unit, /^ProtectProc=invisible$/m);
});
