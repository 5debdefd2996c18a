/** Services that are registered in a real Consul come, change and go while each of them is asked. */
import { test } from 'node:test';
import { startConsul } from '../../servers/consul.ts';
import { branches } from '../../servers/haproxy.ts';
import { comeChangeAndGo, type NewServices } from '../../support/load/new-services.ts';

async function inConsul(): Promise<NewServices> {
  const consul = await startConsul();
  return {
    backendAddress: '127.0.0.1',
    watcher: `consul: { address: "${consul.address}"`,
    discover: 'consul: { tag: expose',
    prepare: async () => {},
    put: (name, { address, port }) =>
      consul.register({
        ...{ name, id: name, address, port },
        ...{ tags: ['expose'], meta: { 'myelin-routes': `/${name}` } },
      }),
    remove: (name) => consul.deregister(name),
    [Symbol.asyncDispose]: () => consul[Symbol.asyncDispose](),
  };
}

test('1,000 services that are registered in Consul come, change and go under load in one process of HAProxy 3.4, each answer as it should be', (t) =>
  comeChangeAndGo(t, '3.4', inConsul, { count: 1000, inFlight: 20, minIntervalMs: 2000, isOneProcess: true }));

for (const branch of branches.filter((one) => one !== '3.4')) {
  const size = branch === '2.6' ? { count: 1000, inFlight: 80 } : { count: 10, inFlight: 5 };
  test(`${size.count} services that are registered in Consul come and go by reloads of HAProxy ${branch}, no more often than minInterval, each answer as it should be`, (t) =>
    comeChangeAndGo(t, branch, inConsul, { ...size, minIntervalMs: 1000, isOneProcess: false }));
}
