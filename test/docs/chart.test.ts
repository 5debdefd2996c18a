/** The README of the chart; after a change of values.yaml: `node --test --test-update-snapshots` this file. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

const chart = new URL('../../deploy/helm/myelin/', import.meta.url);
const path = fileURLToPath(new URL('README.md', chart));

test('the README of the chart has every value, its default and what values.yaml says of it', async (t: TestContext) => {
  const page = await readFile(path, 'utf8');
  const { contents } = parseDocument(await readFile(new URL('values.yaml', chart), 'utf8'));
  assert.ok(isMap(contents));
  const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rowsOf(contents)].join('\n');
  const written = page.replace(/(<!-- values -->\n)[\s\S]*(<!-- \/values -->)/, (_, open, close) =>
    [open, '\n', table, '\n\n', close].join(''),
  );
  t.assert.fileSnapshot(written, path, { serializers: [(text: string) => text] });
});

test('the chart carries the alerts and the dashboard as they are', async (t: TestContext) => {
  for (const original of ['prometheus/myelin.rules.yaml', 'grafana/myelin.json']) {
    const text = await readFile(new URL(`../../${original}`, chart), 'utf8');
    const copy = fileURLToPath(new URL(`files/${original.split('/')[1]}`, chart));
    t.assert.fileSnapshot(text, copy, { serializers: [(same: string) => same] });
  }
});

/** Of each value, and of each group of values of which something is said. */
function rowsOf(map: YAMLMap, above = ''): readonly string[] {
  return map.items.flatMap(({ key, value }, index) => {
    assert.ok(isScalar(key));
    const name = `${above}${key.value}`;
    const meaning = meaningOf(key.commentBefore ?? (index === 0 ? map.commentBefore : null) ?? '');
    if (!isMap(value) || value.items.length === 0) {
      const shown = isMap(value) ? {} : (value as { toJSON: () => unknown } | null)?.toJSON();
      return row(name, `\`${cell(JSON.stringify(shown))}\``, meaning);
    }
    return [...(meaning === '' ? [] : [row(name, '', meaning)]), ...rowsOf(value, `${name}.`)];
  });
}

function row(name: string, value: string, meaning: string): string {
  return `| \`${name}\` | ${value} | ${meaning} |`;
}

/** Examples and lists are indented; what stands before an empty line is about something that is not set. */
function meaningOf(comment: string): string {
  const [last = ''] = comment.split(/\n\s*\n/).slice(-1);
  const lines = last.split('\n').filter((line) => !line.startsWith('  '));
  return cell(lines.map((line) => line.trim()).join(' ')).replace(/:$/, '.');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
