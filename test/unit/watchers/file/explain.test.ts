import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { explainFile } from '../../../../watchers/file/explain.ts';
import { tempFolder } from '../../../support/index.ts';

const services = `services:
  web:
    - "10.0.0.1:80"
    - { address: 10.0.0.2, port: 80, state: draining, weight: 3, tags: [blue] }
    - "10.0.0.3"
  db:
  api: { options: { mode: tcp }, endpoints: ["10.0.0.4:80"] }
`;

test('a file is explained: each entry with its place, one that is missing with its neighbour, a fault with its line', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  const ask = (service: string) => explainFile({ path }, { key: service, settings: {} });
  await assert.rejects(ask('web'), { message: new RegExp(`cannot read ${path}`) });
  await writeFile(path, services);

  const web = await ask('web');
  assert.equal(web.unfit, null);
  assert.match(web.said[0] ?? '', /services\.yaml was last written at \d{4}-\d\d-\d\dT/);
  assert.match(web.said[1] ?? '', /services\.yaml:2:3 names it/);
  assert.deepEqual(
    web.instances.map(({ id, unfit, said }) => `${id}: ${unfit ?? said.join(', ')}`.replaceAll(path, 'FILE')),
    [
      '10.0.0.1:80: ready, weight 1',
      '10.0.0.2:80: draining, weight 3, tags blue',
      '10.0.0.3: FILE:5:7: services.web[2]: expected ADDRESS:PORT or { address, port, … }',
    ],
  );
  const db = await ask('db');
  assert.match(db.unfit?.reason ?? '', /services\.yaml:6:6: services\.db: expected a list of endpoints/);
  const api = await explainFile({ path }, { key: '*api', settings: { isForAll: true } });
  assert.deepEqual(
    api.instances.map(({ id }) => id),
    ['10.0.0.4:80'],
  );
  await assert.rejects(ask('wbe'), /services\.db: expected a list/, 'what was cut off may be what is asked about');
  await writeFile(path, services.replace('  db:\n', ''));
  assert.match((await ask('wbe')).unfit?.reason ?? '', /has no `services\.wbe`; did you mean "web"\?/);

  await writeFile(path, 'services:\n  web: [\n');
  await assert.rejects(ask('web'), /services\.yaml:\d+:\d+: /);
});

test('of a folder the file that counts is told, and the one that does not; a broken one may have what is missing', async () => {
  await using folder = await tempFolder();
  const file = (name: string): string => join(folder.path, name);
  const ask = (service: string) => explainFile({ path: folder.path }, { key: 'x', settings: { service } });
  await writeFile(file('a.yaml'), 'services: { web: ["10.0.0.1:80"] }\n');
  await writeFile(file('b.yaml'), 'services: { web: ["10.0.0.2:80"] }\n');
  const { said, instances } = await ask('web');
  assert.equal(instances.length, 1);
  assert.match(said.join('\n'), /b\.yaml:1:13 names it as well, and does not count: .*a\.yaml comes first/);
  await writeFile(file('c.yaml'), 'services: [\n');
  await assert.rejects(ask('db'), /c\.yaml:/);
  assert.equal((await ask('web')).instances.length, 1);
  await rm(file('c.yaml'));
  assert.match((await ask('db')).unfit?.reason ?? '', /has no `services\.db`/);
});
