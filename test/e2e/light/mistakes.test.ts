/** The usual mistakes: what is said of each names its place, its cause and what to do, and the exit code tells a script. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startConsul } from '../../servers/consul.ts';
import { freePort } from '../../support/index.ts';
import { cli } from '../../support/sites/cli.ts';
import { type Finished, type Workplace, workplace } from '../../support/sites/myelin.ts';

type Said = {
  readonly by: readonly string[];
  readonly exitCode: number;
  /** On standard error, all of it; of `run`, which logs, a part of what it prints. */
  readonly words: RegExp;
};

type Mistake = {
  readonly title: string;
  /** Of `services`, with `<port>` for one that is free. */
  readonly web?: string;
  /** Further lines of `myelin.yaml`. */
  readonly rest?: string;
  readonly watchers?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly said: readonly Said[];
};

const usual = 'watchers: { file: { path: services.yaml } }';
/** In the pretty log, each problem on a line of its own. */
const once_ = ['run', '--once', '--log-format', 'pretty'];
const haproxy = String.raw`HAProxy \S+`;

/** For `check` and `plan`: the same words. */
const both = (exitCode: number, words: RegExp): readonly Said[] =>
  [['check'], ['plan']].map((by) => ({ by, exitCode, words }));

const mistakes: readonly Mistake[] = [
  {
    title: 'a misspelt key',
    web: '{ bind: "127.0.0.1:<port>", balanse: leastconn }',
    said: [
      {
        by: ['run'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:3:\d+: services\.web\.balanse: unknown key; allowed: .*; did you mean "balance"\? \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
  {
    title: 'a value of the wrong type',
    web: '{ bind: <port> }',
    said: [
      {
        by: ['check'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:3:\d+: services\.web\.bind: \d+ is not allowed; expected an address with a port, in quotes, such as "127\.0\.0\.1:8080", or ":8080" for every address of this machine \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
  {
    title: 'and what is advised in its place works',
    web: '{ bind: ":<port>" }',
    said: [{ by: ['check'], exitCode: 0, words: /^$/ }],
  },
  {
    title: 'a source that is not there',
    web: '{ bind: "127.0.0.1:<port>", from: { flie: {} } }',
    said: [
      {
        by: ['check'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:3:\d+: services\.web\.from\.flie: there is no watcher of this name; the watchers are file; did you mean "file"\? \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
  {
    title: 'a missing certificate',
    web: '{ bind: "127.0.0.1:<port> ssl crt ./certs/site.pem" }',
    said: both(
      5,
      new RegExp(
        `^error: ${haproxy} rejects the config:\\n  \\./myelin\\.yaml:3:\\d+: services\\.web\\.bind: \`bind 127\\.0\\.0\\.1:\\d+ ssl crt \\./certs/site\\.pem\`: .*\\./certs/site\\.pem.*No such file or directory.* \\[MYELIN_CONFIG_REJECTED\\]\\nwhat to do: mend the line in myelin\\.yaml`,
      ),
    ),
  },
  {
    title: 'a template with a fault',
    web: '{ bind: "127.0.0.1:<port>" }\n  api: {}',
    rest: 'templates: templates',
    files: { 'templates/backend.hbs': 'backend {{nmae}}\n' },
    said: [
      ...both(
        4,
        /^error: services api, web: \S+\/templates\/backend\.hbs:1:\d+: there is no field "nmae" here; did you mean "name"\?\n {2}1 \| backend \{\{nmae\}\}\n {4}\| +\^ \[MYELIN_TEMPLATE_INVALID\]\n$/,
      ),
      {
        by: once_,
        exitCode: 4,
        words:
          /ERROR update rejected, what runs stays as it is; retrying isServing=false\n {4}services api, web: \S+\/templates\/backend\.hbs:1:\d+: there is no field "nmae" here; did you mean "name"\?\n/,
      },
    ],
  },
  {
    title: 'a line that HAProxy refuses',
    web: '\n    bind: "127.0.0.1:<port>"\n    backend: ["http-request set-heder X-A b"]',
    said: [
      ...both(
        5,
        new RegExp(
          `^error: ${haproxy} rejects the config:\\n  \\./myelin\\.yaml:5:15: services\\.web\\.backend\\[0\\]: \`http-request set-heder X-A b\`: 'http-request' expects .{1,120} and \\d+ more, .*'set-heder'.* \\[MYELIN_CONFIG_REJECTED\\]\\nwhat to do: `,
        ),
      ),
      {
        by: once_,
        exitCode: 5,
        words:
          /ERROR update rejected, what runs stays as it is; retrying isServing=false\n {4}\.\/myelin\.yaml:5:15: services\.web\.backend\[0\]: `http-request set-heder X-A b`: 'http-request' expects/,
      },
    ],
  },
  {
    title: 'a Consul that is not there',
    web: '{ bind: "127.0.0.1:<port>" }',
    watchers: 'watchers: { consul: { address: "http://127.0.0.1:<port>" } }',
    rest: 'startTimeout: 3s',
    said: [
      {
        by: ['plan'],
        exitCode: 6,
        words:
          /^waiting for consul, \S+ s at most: Consul at \S+: connect ECONNREFUSED \S+\nerror: no complete answer within 3 s from consul \(.*ECONNREFUSED.*\) \[MYELIN_SOURCE_TIMEOUT\]\nwhat to do: see that the source runs and is reachable/,
      },
      {
        by: once_,
        exitCode: 6,
        words: /WARN {2}source failed.* watcher=consul reason="Consul at \S+: connect ECONNREFUSED/,
      },
    ],
  },
  {
    title: 'no HAProxy',
    web: '{ bind: "127.0.0.1:<port>" }',
    rest: 'haproxy: { binary: haproxy-of-nobody }',
    said: [['check'], ['plan'], ['run']].map((by) => ({
      by,
      exitCode: 7,
      words:
        /^error: HAProxy's executable "haproxy-of-nobody" was not found \[MYELIN_HAPROXY_UNAVAILABLE\]\nwhat to do: install HAProxy, or set haproxy\.binary in myelin\.yaml to where it is\n$/,
    })),
  },
  {
    title: 'a tab',
    web: '\n\tbind: "127.0.0.1:<port>"',
    said: [
      {
        by: ['check'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:4:1: not valid YAML: a tab stands where the line is indented: use spaces \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
  {
    title: 'a key that stands twice',
    web: '{ bind: "127.0.0.1:<port>" }\n  web: {}',
    said: [
      {
        by: ['check'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:4:3: services\.web: stands twice in the same map, first at line 3, column 3: keep one of them \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
  {
    title: 'a variable that is not set',
    web: '{ bind: "127.0.0.1:${PORT_OF_NOBODY}" }',
    said: [
      {
        by: ['check'],
        exitCode: 3,
        words:
          /^error: \.\/myelin\.yaml:3:\d+: services\.web\.bind: the environment variable PORT_OF_NOBODY is not set; set it, or give a default: \$\{PORT_OF_NOBODY:-value\} \[MYELIN_CONFIG_INVALID\]\n$/,
      },
    ],
  },
];

for (const mistake of mistakes)
  test(mistake.title, async () => {
    await using place = await placeOf(mistake);
    for (const said of mistake.said) await says(place, said);
  });

test('an address that another process holds', async () => {
  await using place = await placeOf({ web: '{ bind: "127.0.0.1:<port>" }' });
  await using server = createServer();
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(await place.read('myelin.yaml')) ?? [];
  server.listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  const holder = String.raw`\./myelin\.yaml:3:\d+: services\.web\.bind: \`bind 127\.0\.0\.1:${port}\`: port ${port} is held by ${basename(process.execPath)} \(pid ${process.pid}\)`;
  const words = new RegExp(
    `^error: ${holder} \\[MYELIN_PORT_TAKEN\\]\\nwhat to do: stop what holds the address, or change the \`bind\`\\n$`,
  );
  for (const said of both(7, words)) await says(place, said);
  await says(place, {
    by: once_,
    exitCode: 7,
    words: new RegExp(`update rejected.* isServing=false\\n {4}${holder}\\n`),
  });
  const elsewhere = await place.command('check', '--elsewhere');
  assert.equal(elsewhere.exitCode, 0, elsewhere.stderr);
});

test('a token that Consul does not know', async () => {
  await using consul = await startConsul({ acl: true });
  const watchers = `watchers: { consul: { address: "${consul.address}", token: wrong } }`;
  await using place = await placeOf({ watchers, web: '{ bind: "127.0.0.1:<port>" }', rest: 'startTimeout: 2s' });
  const words =
    /^waiting for consul, \d s at most: .*403.*: the token is unknown, expired or lacks rights; check `token` or `tokenFile`\nerror: no complete answer .* \[MYELIN_SOURCE_TIMEOUT\]\n/;
  await says(place, { by: ['plan'], exitCode: 6, words });
});

test('a second Myelin in the same folder, while check and plan disturb neither it nor what it holds', async () => {
  await using place = await placeOf({ web: '{ bind: "127.0.0.1:<port>" }' });
  const first = place.run();
  await first.until('it serves', ({ haproxy: its }) => its !== null);
  const words =
    /^error: the state folder \S+\/run\/state is in use by another Myelin \(pid \d+\) \[MYELIN_LOCKED\]\nwhat to do: stop that one first, or give this one its own `state`, `haproxy\.config` and sockets\n$/;
  await says(place, { by: ['run'], exitCode: 1, words });
  const checked = await place.command('check');
  assert.equal(checked.exitCode, 0, checked.stderr);
  const planned = await place.command('plan');
  assert.equal(planned.stdout, 'nothing to do\n', planned.stderr);
});

test('a folder in which this user may not write', async (t: TestContext) => {
  if (process.getuid?.() !== 0) return t.skip('needs root to become another user');
  await using place = await placeOf({ web: '{ bind: "127.0.0.1:<port>" }' });
  await chmod(place.folder, 0o755);
  const words = new RegExp(
    `^error: ${place.folder}/run/state cannot be written: this user \\(uid 65534\\) may not read and write in ${place.folder} \\[MYELIN_WRITE_FAILED\\]\\nwhat to do: give the user that runs Myelin the right to read and write in ${place.folder}\\n$`,
  );
  for (const command of ['check', 'run']) {
    const { exitCode, stderr } = await asNobody(place, command);
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, words);
  }
});

async function placeOf({ web = '{}', rest = '', watchers = usual, files = {} }: Partial<Mistake>): Promise<Workplace> {
  const port = await freePort();
  const config = `${watchers}\nservices:\n  web: ${web}\nprobes: { listen: "off" }\n${rest}\n`;
  const place = await workplace(config.replaceAll('<port>', `${port}`));
  await place.write('services.yaml', 'services: { web: ["127.0.0.1:9"] }\n');
  for (const [name, text] of Object.entries(files)) await place.write(name, text);
  return place;
}

async function says(place: Workplace, { by, exitCode, words }: Said): Promise<void> {
  const finished = by[0] === 'run' ? await ranBy(place, by.slice(1)) : await place.command(...by);
  const whole = `myelin ${by.join(' ')}\n${finished.stdout}${finished.stderr}`;
  assert.equal(finished.exitCode, exitCode, whole);
  // A busy machine may take its time.
  const told = finished.stderr.replace(/^waiting for \w+, \S+ s at most: no answer yet\n/, '');
  assert.match(by.includes('pretty') ? finished.stdout : told, words, whole);
}

/** HAProxy may serve on, and holds the pipes open. */
async function ranBy(place: Workplace, options: readonly string[]): Promise<Finished> {
  const myelin = place.run(...options);
  const exitCode = Number(await myelin.ended);
  return { exitCode, ...myelin.streams };
}

async function asNobody({ folder }: Workplace, command: string): Promise<Pick<Finished, 'exitCode' | 'stderr'>> {
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const child = spawn(process.execPath, [cli, command], { cwd: folder, uid: 65_534, gid: 65_534, stdio: [...stdio] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode: exitCode ?? -1, stderr };
}
