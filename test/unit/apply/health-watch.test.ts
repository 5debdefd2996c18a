import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Runtime } from '../../../src/apply/driver.ts';
import { HealthWatch } from '../../../src/apply/runtime/health-watch.ts';
import type { BackendHealth, ServerCondition, ServerHealth } from '../../../src/haproxy/cli/stats.ts';
import type { Section } from '../../../src/model.ts';

function server(name: string, condition: ServerCondition): ServerHealth {
  const check = { code: 'L4CON', words: 'Connection refused' };
  const counts = { weight: 1, sessions: 0, queued: 0, sessionsPerSec: 0, errors: 0 };
  return { name, address: '10.0.0.1:80', condition, status: condition.toUpperCase(), forSec: 5, check, ...counts };
}

/** A HAProxy with a backend a service; `conditions`: of its servers, by backend. */
function watched(names: readonly string[]) {
  const conditions = new Map<string, readonly ServerCondition[]>(names.map((name) => [name, ['up', 'up']]));
  const isDown = (name: string): boolean => conditions.get(name)?.every((one) => one !== 'up') === true;
  const asked: string[] = [];
  const sections = names.map((name) => ({ kind: 'backend', name, service: name }) as unknown as Section);
  const runtime = {
    running: { sections },
    downBackends: async () => new Set([...conditions.keys(), 'written-by-hand'].filter(isDown)),
    async health(backends: readonly string[]) {
      asked.push(...backends);
      return new Map(
        backends.map((name): [string, BackendHealth] => {
          const servers = (conditions.get(name) ?? []).map((condition, at) => server(`${name}-${at + 1}`, condition));
          return [name, { isDown: isDown(name), forSec: 5, sessions: 0, queued: 0, sessionsPerSec: 0, servers }];
        }),
      );
    },
  } as unknown as Runtime;
  const watch = new HealthWatch({ runtime, unresponsive: null }, () => 0);
  const look = async (): Promise<readonly unknown[]> => {
    const events = await watch.look();
    return events.map((event) => ('service' in event ? `${event.kind} ${event.service}` : event));
  };
  return { conditions, asked, watch, look };
}

test('HealthWatch: that checks took the last server of a service is told once, and so is its return', async () => {
  const { conditions, asked, watch, look } = watched(['web', 'api']);
  assert.deepEqual(await look(), []);
  conditions.set('web', ['down', 'up']);
  assert.deepEqual([await look(), asked], [[], []], 'the other one serves, and nothing more is asked');
  conditions.set('web', ['down', 'down']);
  const [event] = await watch.look();
  const reason = 'web-1 (10.0.0.1:80): L4CON, Connection refused';
  assert.deepEqual(event, { kind: 'backend_down', service: 'web', backend: 'web', servers: 2, reason });
  assert.deepEqual([await look(), asked], [[], ['web']]);
  conditions.set('web', ['down', 'up']);
  assert.deepEqual(await look(), ['backend_up web']);
});

test('HealthWatch: what operators and sources took is not told as found by checks, nor its end as a return', async () => {
  const { conditions, look } = watched(['web']);
  conditions.set('web', ['maint', 'draining']);
  assert.deepEqual(await look(), []);
  conditions.set('web', ['up', 'up']);
  assert.deepEqual(await look(), []);
  conditions.set('web', ['down']);
  assert.deepEqual(await look(), ['backend_down web']);
  conditions.delete('web');
  assert.deepEqual(await look(), [], 'its last servers were removed');
});

test('HealthWatch: of many services that go at once some are told, and the others are counted', async () => {
  const names = Array.from({ length: 50 }, (_, at) => `s${at}`);
  const { conditions, look } = watched(names);
  for (const name of names) conditions.set(name, ['down']);
  const told = await look();
  assert.equal(told.length, 21);
  assert.deepEqual(told.at(-1), { kind: 'backend_down_others', count: 30 });
});
