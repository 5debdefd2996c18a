/** Where templates are read from, and what is said when they cannot be. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { AppError } from '../../../src/errors.ts';
import { builtInTemplates, readTemplates, templateNames } from '../../../src/settings/templates.ts';
import { tempFolder } from '../../support/index.ts';

test('without a folder the built-in templates are used, and there is nothing to watch', async () => {
  const { sources, files } = await readTemplates(undefined);
  assert.deepEqual([...sources.keys()], [...templateNames]);
  assert.deepEqual(files, []);
  assert.deepEqual(sources, builtInTemplates());
});

test('a template of the folder replaces the built-in one of its name, and is watched with its folder', async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, 'server.hbs');
  await writeFile(file, '\ufeffserver {{name}}\r\nx');
  await writeFile(join(folder.path, 'README.md'), 'ours');
  await writeFile(join(folder.path, 'server.hbs~'), 'of an editor');
  await mkdir(join(folder.path, '..data'));
  const { sources, files } = await readTemplates(folder.path);
  assert.deepEqual(sources.get('server'), { file, text: 'server {{name}}\nx' });
  assert.equal(sources.size, templateNames.length);
  assert.deepEqual(files, [folder.path, file]);
});

test('a name that is no template’s is refused, and the name that was meant is told', async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'forntend.hbs'), '');
  await assert.rejects(readTemplates(folder.path), (error) => {
    assert.ok(error instanceof AppError && error.code === 'MYELIN_TEMPLATE_INVALID');
    assert.equal(
      error.message,
      `${folder.path}/forntend.hbs: there is no template of this name; did you mean "frontend.hbs"?`,
    );
    return true;
  });
});

test('a folder or template that cannot be read is refused, and named', async () => {
  await using folder = await tempFolder();
  await assert.rejects(readTemplates(join(folder.path, 'none')), {
    code: 'MYELIN_TEMPLATE_INVALID',
    message: `cannot read the folder of templates ${folder.path}/none`,
  });
  await mkdir(join(folder.path, 'global.hbs'));
  await assert.rejects(readTemplates(folder.path), {
    code: 'MYELIN_TEMPLATE_INVALID',
    message: `cannot read the template ${folder.path}/global.hbs`,
  });
});
