import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { say as sayAny } from '../../../../src/haproxy/resources/index.ts';
import { classify, say } from '../../../../src/haproxy/resources/maps/commands.ts';
import { type Entry, entriesIn, lineOf } from '../../../../src/haproxy/resources/maps/entries.ts';
import { maps } from '../../../../src/haproxy/resources/maps/index.ts';
import {
  findDrift,
  observeMaps,
  ownerOf,
  readMaps,
  seenMap,
} from '../../../../src/haproxy/resources/maps/read-back.ts';
import { replaceAll } from '../../../../src/haproxy/resources/maps/version.ts';
import { rankOf } from '../../../../src/haproxy/resources/resource.ts';
import type { MapCommand, Rendered, RuntimeCommand, Section } from '../../../../src/model.ts';
import { planChange, planMeanwhile } from '../../../../src/plan/plan.ts';
import { version } from '../../../support/values/render.ts';

const path = '/run/haproxy.cfg.maps/public.map';
const process = { capabilities: capabilitiesOf(version('2.6.12')), leaving: [], started: null };

function backend(name: string): Section {
  return { kind: 'backend', name, text: `backend ${name}\n    mode http\n`, service: name };
}

function map(text: string): Section {
  return { kind: 'map', name: path, text, service: null };
}

const backends = ['a', 'b', 'c'].map(backend);

function file(text: string, its: readonly Section[] = backends): Rendered {
  return { sections: [...its, map(text)] };
}

function commandsOf(running: Rendered, desired: Rendered): readonly RuntimeCommand[] {
  const plan = planChange(running, desired, process);
  if (plan.kind === 'reload') assert.fail(JSON.stringify(plan.reasons));
  return plan.kind === 'none' ? [] : plan.commands;
}

/** The entries of a map in a HAProxy: `add map` looks for no others of the same key. */
function run(entries: readonly Entry[], command: MapCommand): readonly Entry[] {
  if (command.action === 'version') return [...entriesIn(command.text)];
  const { key } = command;
  const others = entries.filter((entry) => entry.key !== key);
  switch (command.action) {
    case 'add':
      return [...entries, { key, value: command.value }];
    case 'set':
      assert.ok(others.length < entries.length);
      return entries.map((entry) => (entry.key === key ? { key, value: command.value } : entry));
    case 'replace':
      return [...others, { key, value: command.value }];
    case 'delete':
      return others;
  }
}

function applied(entries: readonly Entry[], commands: readonly RuntimeCommand[]): readonly Entry[] {
  return commands.reduce((all, command) => (command.kind === 'map' ? run(all, command) : assert.fail()), entries);
}

const entry = fc.record({
  key: fc.constantFrom('a.example/', 'b.example/x/', '*/', 'c'),
  value: fc.constantFrom('a', 'b', 'c|1|/v2'),
});
const unique = fc.uniqueArray(entry, { selector: ({ key }) => key });
const sorted = (entries: readonly Entry[]): readonly string[] => entries.map(lineOf).sort();

describe('Entries of a map', () => {
  it('are brought by commands from whatever they are to what is wanted, repeated ones too', () => {
    fc.assert(
      fc.property(fc.array(entry), unique, (is, wanted) => {
        const text = (entries: readonly Entry[]): string => entries.map(lineOf).join('');
        const after = applied(is, commandsOf(file(text(is)), file(text(wanted))));
        assert.deepEqual(sorted(after), sorted(wanted));
        const seen = new Map([[ownerOf(path), seenMap(after)]]);
        assert.deepEqual(findDrift(file(text(wanted)), seen).findings, []);
      }),
    );
  });

  it('that drifted are found, and the plan from what was found leads back', () => {
    fc.assert(
      fc.property(fc.array(entry), unique, (is, wanted) => {
        const desired = file(wanted.map(lineOf).join(''));
        const found = findDrift(desired, new Map([[ownerOf(path), seenMap(is)]]));
        assert.equal(found.findings.length === 0, String(sorted(is)) === String(sorted(wanted)));
        assert.deepEqual(sorted(applied(is, commandsOf(found.running, desired))), sorted(wanted));
      }),
    );
  });

  it('lead to no backend that is another service’s until the reload', () => {
    const others: Section = {
      ...backend('b'),
      text: 'backend b\n    mode http\n    http-request deny\n',
      service: 'a',
    };
    const running = file('a/ a\n', [backend('a'), others]);
    const desired = file('a/ a\nb/ b\nc/ a\n', [backend('a'), backend('b')]);
    const meanwhile = planMeanwhile(running, desired, process);
    assert.deepEqual(meanwhile?.commands.flatMap(sayAny), [`add map ${path} c/ a`]);
  });

  it('are told apart by what is wrong with them', () => {
    const is = ['a/ b', 'b/ b', 'd/ a', 'd/ a'].map((line) => ({ key: line.slice(0, 2), value: line.slice(3) }));
    const { findings } = findDrift(file('a/ a\nc/ c\nd/ a\n'), new Map([[ownerOf(path), seenMap(is)]]));
    assert.deepEqual(
      findings.map(({ drift: { kind, detail }, what, owner }) => [owner, what, kind, detail]),
      [
        ['value of a/', 'value', 'b'],
        ['missing of c/', 'missing', ''],
        ['duplicate of d/', 'duplicate', ''],
        ['extra of b/', 'extra', 'b'],
      ].map((each) => [ownerOf(path), ...each]),
    );
  });

  it('wait for the reload that brings their backend, and the others go at once', () => {
    const running = file('old/ a\nmoves/ a\n');
    const desired = file('new/ d\nmoves/ d\nother/ b\n', [...backends, backend('d')]);
    const plan = planChange(running, desired, process);
    assert.deepEqual(plan, {
      kind: 'reload',
      reasons: [{ code: 'proxy_added', section: 'backend d', detail: 'added' }],
    });
    const part = planMeanwhile(running, desired, process);
    assert.deepEqual(
      part?.commands.flatMap((command) => maps.say(command as MapCommand)),
      [`add map ${path} other/ b`, `del map ${path} old/`],
    );
    assert.equal(part?.desired.sections.at(-1)?.text, 'other/ b\nmoves/ a\n');
    // There is nothing more to do before the reload.
    assert.equal(part && planMeanwhile(part.desired, desired, process), null);
  });

  it('wait with the frontend that reads them, but for those whose backend goes', () => {
    const frontend = (line: string): Section => ({
      kind: 'frontend',
      name: 'public',
      text: `frontend public\n    use_backend %[path,map_beg(${path})]\n${line}`,
      service: null,
    });
    const running = file('moves/ a\ngoes/ c\nstays/ b\nrenamed/ c\n', [frontend('    bind :80\n'), ...backends]);
    const [a, b] = backends as [Section, Section];
    const wanted = 'stays/ a\nnew/ b\nrenamed/ b\n';
    const part = planMeanwhile(running, file(wanted, [frontend('    bind :81\n'), a, b]), process);
    assert.deepEqual(
      part?.commands.flatMap((command) => maps.say(command as MapCommand)),
      [`del map ${path} goes/`],
    );
    assert.equal(part?.desired.sections.at(-1)?.text, 'moves/ a\nstays/ b\nrenamed/ c\n');
    const other = { ...frontend('    bind :81\n'), name: 'other', text: 'frontend other\n    bind :81\n' };
    const alone = planMeanwhile(running, file(wanted, [frontend('    bind :80\n'), a, b, other]), process);
    assert.equal(alone?.desired.sections.at(-1)?.text, wanted, 'another frontend that waits is no matter');
  });

  it('do not wait with their frontend where discovery alone has changed them', () => {
    const frontend = (line: string): Section => ({
      kind: 'frontend',
      name: 'public',
      text: `frontend public\n    use_backend %[path,map_beg(${path})]\n${line}`,
      service: null,
    });
    const before = { discoveredSince: () => assert.fail('the later one is asked') };
    const origin = (found: readonly string[] | null) => ({
      discoveredSince: (other: object) => {
        assert.equal(other, before);
        return found && ((key: string) => found.includes(key));
      },
    });
    const withOrigin = ({ sections }: Rendered, its: NonNullable<Section['origin']>): Rendered => ({
      sections: sections.map((section) => (section.kind === 'map' ? { ...section, origin: its } : section)),
    });
    const running = withOrigin(
      file('listed/ a\ngone/ b\nmoves/ b\n', [frontend('    bind :80\n'), ...backends]),
      before,
    );
    const wanted = file('listed/ b\nmoves/ c\nfound/ c\nedited/ c\n', [
      frontend('    bind :80\n    bad\n'),
      ...backends,
    ]);
    const now = withOrigin(wanted, origin(['found/', 'moves/', 'gone/']));
    const part = planMeanwhile(running, now, process);
    assert.deepEqual(
      part?.commands.flatMap((command) => maps.say(command as MapCommand)).sort(),
      [`add map ${path} found/ c`, `del map ${path} gone/`, `set map ${path} moves/ c`].sort(),
    );
    assert.equal(part?.desired.sections.at(-1)?.text, 'moves/ c\nfound/ c\nlisted/ a\n');
    assert.equal(planMeanwhile(running, withOrigin(wanted, origin(null)), process), null, 'an edit of the limits');
  });

  it('are a reason for a reload where no command can say them, or no backend is there', () => {
    for (const [line, detail] of [
      ['<<k a', '<<k cannot be a word of a runtime command'],
      ['k two words', 'k cannot be a word of a runtime command'],
      ['k nowhere', 'k waits for backend nowhere'],
    ] as const)
      assert.deepEqual(planChange(file(''), file(`${line}\n`), process), {
        kind: 'reload',
        reasons: [{ code: 'map_changed', section: `map ${path}`, detail }],
      });
  });

  it('come and go with the map as a whole where its frontend does', () => {
    const none = { sections: backends };
    assert.deepEqual(planChange(none, file('a/ a\n'), process), {
      kind: 'reload',
      reasons: [{ code: 'map_changed', section: `map ${path}`, detail: 'added' }],
    });
    assert.deepEqual(planChange(file('a/ a\n'), none, process), {
      kind: 'reload',
      reasons: [{ code: 'map_changed', section: `map ${path}`, detail: 'removed' }],
    });
  });

  it('come after the servers of their backend and go before them', () => {
    const ranks = maps.ranks(commandsOf(file('b/ b\n'), file('a/ a\n')) as MapCommand[]);
    assert.deepEqual(ranks, [rankOf.routesCome, rankOf.routesGo]);
    const [added] = commandsOf(file(''), file('a/ c|1|/v2\n')) as MapCommand[];
    assert.deepEqual(added && maps.needs(added), ['backend c']);
  });

  it('change nothing where only their order or a comment does', () => {
    assert.deepEqual(commandsOf(file('a/ a\nb/ b\n'), file('# remark\nb/ b\na/ a\n')), []);
  });
});

describe('Commands about a map', () => {
  const about = { kind: 'map', map: '/run/my maps/a.map', key: 'a;b/' } as const;

  it('are said in words that mean nothing else', () => {
    assert.deepEqual(say({ ...about, action: 'replace', value: 'be', copies: 2 }), [
      'del map /run/my\\ maps/a.map a\\;b/',
      'del map /run/my\\ maps/a.map a\\;b/',
      'add map /run/my\\ maps/a.map a\\;b/ be',
    ]);
  });

  it('are done where nothing is answered, and an entry that is gone is gone', () => {
    const command = { ...about, action: 'delete', copies: 1 } as const;
    assert.deepEqual(classify(command, ['']), { kind: 'done' });
    assert.deepEqual(classify(command, ['Key not found.']), { kind: 'done' });
    const set = { ...about, action: 'set', value: 'x' } as const;
    assert.deepEqual(classify(set, ['entry not found.']), {
      kind: 'unexpected',
      command: set,
      reply: 'entry not found.',
    });
    assert.deepEqual(classify(set, []), { kind: 'unexpected', command: set, reply: '' });
  });
});

const many = (count: number, value: string): string =>
  Array.from({ length: count }, (_, at) => `host-${at}.example.com/ ${value}\n`).join('');

describe('All entries of a map at once', () => {
  const planned = (old: string, now: string, release = '2.6.12'): readonly RuntimeCommand[] => {
    const plan = planChange(file(old), file(now), { ...process, capabilities: capabilitiesOf(version(release)) });
    return plan.kind === 'runtime' ? plan.commands : assert.fail(plan.kind);
  };

  it('change as a version where many of them do, and else one by one', () => {
    const swap = planned(many(1000, 'a'), many(1000, 'b'));
    assert.deepEqual(swap, [{ kind: 'map', map: path, action: 'version', text: many(1000, 'b') }]);
    assert.deepEqual(planned(many(1000, 'a'), ''), [{ kind: 'map', map: path, action: 'version', text: '' }]);
    assert.equal(planned(many(499, 'a'), many(499, 'b')).length, 499);
    // A small part of a large map.
    assert.equal(
      planned(many(2500, 'a'), `${many(600, 'b')}${many(2500, 'a').slice(many(600, 'a').length)}`).length,
      600,
    );
  });

  it('change one by one where a version is not safe, or cannot hold an entry', () => {
    for (const release of ['2.2.9', '2.4.30', '2.6.2', '3.2.0', '3.2.4'])
      assert.equal(planned(many(1000, 'a'), many(1000, 'b'), release).length, 1000, release);
    for (const release of ['2.6.3', '2.8.0', '3.1.9', '3.2.5', '3.4.7'])
      assert.equal(planned(many(1000, 'a'), many(1000, 'b'), release).length, 1, release);
    assert.equal(planned(many(1000, 'a'), `${many(1000, 'b')}é/ b\n`).length, 1001);
    assert.equal(planned(many(1000, 'a'), `${many(1000, 'b')}${'x'.repeat(12_000)}/ b\n`).length, 1001);
  });

  it('keep what waits for a reload', () => {
    const part = planMeanwhile(
      file(`${many(600, 'a')}moves/ a\n`),
      file(`${many(600, 'b')}moves/ d\nnew/ d\n`, [...backends, backend('d')]),
      process,
    );
    const text = `${many(600, 'b')}moves/ a\n`;
    assert.deepEqual(part?.commands, [{ kind: 'map', map: path, action: 'version', text }]);
    assert.equal(part.desired.sections.at(-1)?.text, text);
  });

  it('come after all backends that they lead to', () => {
    const [swap] = planned(many(1000, 'a'), `${many(999, 'b')}last/ c|1|/v2\n`) as MapCommand[];
    assert.deepEqual(swap && [maps.needs(swap), maps.ranks([swap])], [['backend b', 'backend c'], [rankOf.routesCome]]);
  });

  it('are filled in payloads that HAProxy takes, and then committed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3000), fc.integer({ min: 40, max: 12_000 }), async (count, maxBytes) => {
        const text = many(count, 'a');
        const lines: string[] = [];
        const send = async ([line = '']: readonly string[]): Promise<readonly string[]> => {
          lines.push(line);
          return [line.startsWith('prepare') ? 'New version created: 7' : ''];
        };
        assert.deepEqual(await replaceAll(send, { kind: 'map', map: path, action: 'version', text }, maxBytes), {
          kind: 'done',
        });
        const fill = `add map @7 ${path} <<\n`;
        assert.deepEqual([lines.shift(), lines.pop()], [`prepare map ${path}`, `commit map @7 ${path}`]);
        const payloads = lines.map((line) => line.slice(fill.length));
        assert.ok(lines.every((line) => line.startsWith(fill)));
        assert.ok(payloads.every((payload) => payload.endsWith('\n') && payload.length <= maxBytes));
        assert.equal(payloads.join(''), text);
      }),
      { numRuns: 30 },
    );
  });

  it('stay as they are, and nothing is left, where HAProxy refuses one step', async () => {
    const command = { kind: 'map', map: path, action: 'version', text: many(3, 'a') } as const;
    for (const [refused, rest] of [
      ['prepare', []],
      ['add', [`clear map @7 ${path}`]],
      ['commit', [`clear map @7 ${path}`]],
    ] as const) {
      const lines: string[] = [];
      const send = async ([line = '']: readonly string[]): Promise<readonly string[]> => {
        lines.push(line);
        if (line.startsWith(refused)) return ['Permission denied'];
        return [line.startsWith('prepare') ? 'New version created: 7' : ''];
      };
      assert.deepEqual(await replaceAll(send, command, 100), {
        kind: 'unexpected',
        command,
        reply: 'Permission denied',
      });
      assert.deepEqual(lines.slice(lines.findIndex((line) => line.startsWith(refused)) + 1), rest);
    }
  });
});

describe('What HAProxy says of a map', () => {
  const answer = (reply: string) => async () =>
    `Version: 2.6.12\nPid: 7\nUptime_sec: 1\nStopping: 0\n\nadmin\n\n${reply}\nadmin\n\n`;

  it('is read line by line, and an unknown map is told from an empty one', async () => {
    const read = async (reply: string) => (await readMaps(answer(reply), [path])).seen.get(ownerOf(path))?.entries;
    assert.deepEqual(await read('0x55d1 a.example/ a\n0x55d2 */ b|1|/v2\n'), [
      { key: 'a.example/', value: 'a' },
      { key: '*/', value: 'b|1|/v2' },
    ]);
    assert.deepEqual(await read(''), []);
    assert.equal(await read('Unknown map identifier. Please use #<id> or <file>.\n'), null);
    await assert.rejects(read('Permission denied\n'), { code: 'MYELIN_SOCKET_FAILED' });
  });

  it('counts as no answer where it was cut short', async () => {
    const cut = async () => 'Version: 2.6.12\nPid: 7\nUptime_sec: 1\nStopping: 0\n\nadmin\n\n0x55d1 a.example/ a\n0x5';
    await assert.rejects(readMaps(cut, [path]), { code: 'MYELIN_SOCKET_FAILED' });
  });
});

describe('A map that commands have touched', () => {
  const running = file('a.example/ a\nb.example/ b\n');
  const owner = ownerOf(path);
  const found = (key: string, value: string, how = 'idx=tree') =>
    `type=beg, case=sensitive, found=yes, ${how}, key="${key}", value="${value}", type="str"`;
  const none = 'type=beg, case=sensitive, found=no';
  const wholeMap = '0x55d1 a.example/ a\n0x55d2 b.example/ b\n';
  const about = (key: string): MapCommand => ({ kind: 'map', map: path, action: 'set', key, value: 'any' });

  /** The lines that were asked, and what was seen; `answers`: to each key that is looked up. */
  const observe = async (answers: Readonly<Record<string, string>>, commands = Object.keys(answers).map(about)) => {
    const asked: string[] = [];
    const ask = async (line: string): Promise<string> => {
      const commands = line.split(';').filter((each) => !['show info', 'show cli level'].includes(each));
      asked.push(...commands);
      const replies = commands.map((each) => answers[each.split(' ').at(-1) ?? ''] ?? wholeMap);
      const info = 'Version: 2.6.12\nPid: 7\nUptime_sec: 1\nStopping: 0\n';
      return [info, ...replies].map((reply) => `${reply}\nadmin\n\n`).join('');
    };
    const of = { running, capabilities: process.capabilities, touched: new Map([[owner, commands]]) };
    const { seen, from } = await observeMaps(ask, [owner], of);
    assert.ok(from.every((each) => each?.pid === 7) && from.length > 0);
    return { asked, entries: seen.get(owner)?.entries };
  };

  it('is looked up by these keys alone, where they have what they should', async () => {
    const answers = {
      'b.example/': found('b.example/', 'b'),
      'gone.example/': none,
      'b.example/gone/': found('b.example/', 'b'),
    };
    const { asked, entries } = await observe(answers);
    assert.deepEqual(
      asked,
      Object.keys(answers).map((key) => `get map ${path} ${key}`),
    );
    assert.equal(entries, null);
    assert.deepEqual(findDrift(running, new Map([[owner, { said: '', entries: null }]])).findings, []);
  });

  it('is read as a whole where one of them has not, or is hidden by another', async () => {
    const wrong: readonly Readonly<Record<string, string>>[] = [
      { 'b.example/': none },
      { 'b.example/': found('b.example/', 'other') },
      { 'a.example/': found('a.example/', 'a'), 'gone.example/': found('gone.example/', 'a') },
      { 'gone.example/': found('example', 'a', 'idx=list') },
      { 'gone.example/': `${none}\n${found('gone.example/', 'a')}` },
      { 'b.example/': '' },
      { 'b.example/': 'Unknown map identifier. Please use #<id> or <file>.' },
    ];
    for (const answers of wrong) {
      const { asked, entries } = await observe(answers);
      assert.equal(asked.at(-1), `show map ${path}`);
      assert.equal(entries?.length, 2);
    }
  });

  it('is read as a whole where many were touched, or all', async () => {
    const many = Array.from({ length: 33 }, (_, at) => about(`${at}/`));
    const all: MapCommand = { kind: 'map', map: path, action: 'version', text: '' };
    for (const commands of [many, [about('b.example/'), all]])
      assert.deepEqual((await observe({}, commands)).asked, [`show map ${path}`]);
  });
});

describe('A map of 10,000 entries', () => {
  it('takes moments to plan for where one of them changes', (t) => {
    const entries = Array.from({ length: 10_000 }, (_, at) => `host-${at}.example.com/ a\n`);
    let running = file(entries.join(''));
    const times = Array.from({ length: 20 }, (_, at) => {
      const desired = file(entries.with(500 * at, `new-${at}.example.com/ b\n`).join(''));
      const startedAt = performance.now();
      const commands = commandsOf(running, desired);
      const tookMs = performance.now() - startedAt;
      assert.equal(commands.length, at === 0 ? 2 : 4);
      running = desired;
      return tookMs;
    });
    const median = times.toSorted((a, b) => a - b)[10] ?? 0;
    t.diagnostic(`${median.toFixed(1)} ms`);
    assert.ok(median < 200, `${median} ms`);
  });
});
