/** Services in a real Consul agent, discovered by their tag. */
import type { Backend } from '../../test/servers/backend.ts';
import { startConsul } from '../../test/servers/consul.ts';
import { ConsulClient } from '../consul-client.ts';
import { type ConsulService, fillConsul } from './fill-consul.ts';
import type { Registry } from './registry.ts';

export async function consulRegistry(): Promise<Registry> {
  await using stack = new AsyncDisposableStack();
  const consul = stack.use(await startConsul());
  const client = stack.use(new ConsulClient(consul.address));
  const kept = stack.move();
  return {
    backendAddress: '127.0.0.1',
    watcher: `consul: { address: "${consul.address}", maxShrink: { share: 1 } }`,
    discover: 'consul: { tag: expose, ',
    prepare: async () => {},
    fill: (names, backend) =>
      fillConsul(
        client,
        names.map((name) => serviceOf(name, backend)),
      ),
    add(name, backend) {
      const { Service, ...rest } = serviceOf(name, backend);
      const Check = { CheckID: `check-${name}`, TTL: '1h', Status: 'passing' };
      return client.ask('PUT', '/v1/agent/service/register', { Name: Service, ...rest, Check });
    },
    remove: (name) => client.ask('PUT', `/v1/agent/service/deregister/${name}`),
    clear: async () => {},
    async told(name) {
      const { told } = await client.listen(name, 1);
      return { at: told };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function serviceOf(name: string, { address, port }: Backend): ConsulService {
  const Meta = { 'myelin-routes': `/${name}` };
  return { ID: name, Service: name, Address: address, Port: port, Tags: ['expose'], Meta };
}
