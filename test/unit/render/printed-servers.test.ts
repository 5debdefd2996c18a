import assert from 'node:assert/strict';
import test from 'node:test';
import { AppError } from '../../../src/errors.ts';
import type { Section } from '../../../src/model.ts';
import { checkPrinted } from '../../../src/render/printed-servers.ts';

const backend = (service: string, text = `backend ${service}\n    server a 10.0.0.1:80\n`): Section => ({
  kind: 'backend',
  name: service,
  service,
  text,
});
const frontend = (service: string, text = `frontend ${service}:in\n    bind :80\n`): Section => ({
  kind: 'frontend',
  name: `${service}:in`,
  service,
  text,
});
const services = new Map([
  ['db', { bind: undefined }],
  ['web', { bind: [':80'] }],
]);

const problemOf = (sections: readonly Section[]): string => {
  try {
    return checkPrinted(sections, services).join('\n');
  } catch (error) {
    return error instanceof AppError ? `${error.code}: ${error.message}; ${error.remedy}` : String(error);
  }
};

test('templates that print servers and binds are not objected to', () => {
  assert.equal(problemOf([backend('db'), frontend('web'), backend('web')]), '');
  assert.equal(
    problemOf([backend('db', 'backend db\n    server-template a 1-3 b:80\n'), frontend('web'), backend('web')]),
    '',
  );
});

test('templates that print no server of any service, or no bind, are refused with what to do', () => {
  const remedy = 'see that none of the files in `templates` is cut off or empty';
  assert.equal(
    problemOf([backend('db', 'backend db\n'), frontend('web'), backend('web', 'backend web\n')]),
    `MYELIN_TEMPLATE_INVALID: the templates print no server of any service; ${remedy}`,
  );
  assert.equal(
    problemOf([backend('db'), backend('web'), frontend('web', 'frontend web:in\n')]),
    `MYELIN_TEMPLATE_INVALID: the templates print no bind of any service; ${remedy}`,
  );
});

test('a single service for which the templates print no server is a warning', () => {
  assert.equal(
    problemOf([backend('db', 'backend db\n'), frontend('web'), backend('web')]),
    'service db: the templates print no server line; HAProxy will answer 503',
  );
});

test('without services there is nothing to print', () => {
  assert.deepEqual(checkPrinted([], new Map()), []);
});
