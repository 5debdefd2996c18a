import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine } from '../../../src/report/text/command.ts';

test('a command names the config, unless that is where the command looks for it', () => {
  assert.equal(commandLine('/etc/myelin/myelin.yaml', 'accept', 'web'), 'myelin accept web');
  assert.equal(commandLine('/srv/my proxy.yaml', 'check'), "myelin -c '/srv/my proxy.yaml' check");
});

test('no name of a service becomes a command or an option of its own', () => {
  const why = (name: string): string => commandLine('/etc/myelin/myelin.yaml', 'why', name);
  assert.equal(why('shop:web/web-1'), 'myelin why shop:web/web-1');
  assert.equal(why('a; rm -rf ~'), "myelin why 'a; rm -rf ~'");
  assert.equal(why("it's $(x)"), "myelin why 'it'\\''s $(x)'");
  assert.equal(why('-c/tmp/x'), 'myelin why -- -c/tmp/x');
});
