/** Services in a real Consul agent, discovered by their tag. */
import { startConsul } from '../../test/servers/consul.ts';
import { ConsulClient } from '../consul-client.ts';
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
    add: (name, { address, port }) =>
      client.ask('PUT', '/v1/agent/service/register', {
        ID: name,
        Name: name,
        Address: address,
        Port: port,
        Tags: ['expose'],
        Meta: { 'myelin-routes': `/${name}` },
        Check: { CheckID: `check-${name}`, TTL: '1h', Status: 'passing' },
      }),
    remove: (name) => client.ask('PUT', `/v1/agent/service/deregister/${name}`),
    clear: async () => {},
    async told(name) {
      const { told } = await client.listen(name, 1);
      return { at: told };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
