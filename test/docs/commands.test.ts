/** Each command that a page shows is one that Myelin has, with these options; and the reference has them all. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Command, CommanderError } from 'commander';
import { commandLine } from '../../src/commands/command-line.ts';
import { blocksOf, inlineCodeOf, page, pages } from './pages.ts';

const reference = page('docs/reference/commands.md');

/** The command line with commands that do nothing. */
function program(): Command {
  const whole = commandLine({ isJson: true, onDone() {} });
  for (const command of [whole, ...whole.commands]) command.configureOutput({ writeOut() {}, writeErr() {} });
  for (const command of whole.commands) command.action(() => {});
  return whole;
}

/** Why the command line does not take these words; null where it does. */
function refusal(words: readonly string[]): CommanderError | null {
  try {
    program().parse(words, { from: 'user' });
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? null : error;
  }
}

/** The arguments of each `myelin` in a line for a shell, whatever starts it. */
function argumentsIn(line: string): readonly (readonly string[])[] {
  return line
    .replace(/(^|\s)#.*$/, '')
    .split(/&&|\|\||[|;&>]/)
    .map((part) => part.trim().split(/\s+/))
    .flatMap((words) => {
      const at = words.lastIndexOf('myelin');
      const isFirst =
        words.slice(0, Math.max(at, 0)).every((word) => /^\w+=/.test(word)) ||
        words[at - 1] === '--' ||
        words[0] === 'setpriv';
      if (at >= 0 && isFirst) return [words.slice(at + 1)];
      return words[0] === 'npm' && words[1] === 'start' && words[2] === '--' ? [words.slice(3)] : [];
    });
}

test('each command in the blocks for a shell is understood', () => {
  const shown = pages.flatMap((one) =>
    blocksOf(one, 'sh').flatMap(({ place, text }) =>
      text
        .replaceAll(/\\\n/g, ' ')
        .split('\n')
        .flatMap(argumentsIn)
        .map((words) => ({ place, words })),
    ),
  );
  assert.ok(shown.length > 20);
  for (const { place, words } of shown)
    assert.equal(refusal(words)?.message, undefined, `${place}: myelin ${words.join(' ')}`);
});

test('each command in a sentence has a name and options that there are', () => {
  const shown = pages.flatMap((one) => inlineCodeOf(one).filter(({ text }) => /^myelin [^/]/.test(text)));
  assert.ok(shown.length > 100);
  for (const { place, text } of shown) {
    // A sentence may stop at `…`, put in brackets what can be left out, and name what one of is written: `live\|ready`.
    const one = text.replace(/ ….*/, '').replaceAll(/\[\/\w+\]|[[\]]|\\?\|[^\s\\|]+/g, '');
    const [words = []] = argumentsIn(one);
    const error = refusal(words);
    if (error?.code !== 'commander.missingArgument') assert.equal(error?.message, undefined, `${place}: ${text}`);
  }
});

// `node --test --test-update-snapshots test/docs/commands.test.ts` prints them again.
test('the reference shows every command with its arguments and options', (t: TestContext) => {
  const whole = program();
  const parts = new Map(whole.commands.map((command) => [command.name(), command]));
  for (const name of parts.keys()) assert.ok(reference.text.includes(`<!-- command: ${name} -->`), `no ${name}`);
  const printed = reference.text
    .replaceAll(/(<!-- command: (\S+) -->\n)[\s\S]*?(<!-- \/command -->)/g, (_, open: string, name: string, close) => {
      const command = parts.get(name);
      assert.ok(command !== undefined, `the page asks for ${name}`);
      return `${open}\n${usage(command)}\n\n${close}`;
    })
    .replace(/(<!-- options -->\n)[\s\S]*?(<!-- \/options -->)/, `$1\n${table(optionsOf(whole))}\n\n$2`);
  t.assert.fileSnapshot(printed, fileURLToPath(new URL(`../../${reference.path}`, import.meta.url)), {
    serializers: [(text: string) => text],
  });
});

function usage(command: Command): string {
  const args = command.registeredArguments.map((argument) => {
    const name = argument.argChoices?.join('|') ?? argument.name().toUpperCase();
    return argument.required ? name : `[${name}]`;
  });
  const rows = [
    ...command.registeredArguments.map(({ description, defaultValue }, at) => [
      `\`${args[at]}\``,
      description,
      shown(defaultValue),
    ]),
    ...optionsOf(command),
  ];
  const head = `\`${['myelin', command.name(), ...args].join(' ')}\`: ${command.description()}.`;
  return rows.length === 0 ? head : `${head}\n\n${table(rows)}`;
}

function optionsOf(command: Command): readonly (readonly string[])[] {
  return command.options.map(({ flags, description, defaultValue, negate, envVar }) => [
    `\`${flags}\``,
    envVar === undefined ? description : `${description}; or ${envVar} in the environment`,
    negate ? '' : shown(defaultValue),
  ]);
}

function shown(value: unknown): string {
  return value === undefined || value === false ? '' : `\`${String(value)}\``;
}

function table(rows: readonly (readonly string[])[]): string {
  const lines = rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
  return ['| | | default |', '| --- | --- | --- |', ...lines].join('\n');
}
