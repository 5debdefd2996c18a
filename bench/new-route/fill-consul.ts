/** Fills a Consul by transactions: thousands of services take a few seconds. Each node has some tens of them, as nodes have. */
import type { ConsulClient } from '../consul-client.ts';

/** As the catalog has it. */
export type ConsulService = {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
};

/** A transaction has 64 operations at most: the node, and each service with its check. */
const perNode = 31;

export async function fillConsul(client: ConsulClient, services: readonly ConsulService[]): Promise<void> {
  for (let at = 0; at < services.length; at += perNode)
    await client.ask('PUT', '/v1/txn', registration(`filled-${at / perNode}`, services.slice(at, at + perNode)));
}

function registration(node: string, services: readonly ConsulService[]): readonly unknown[] {
  const check = ({ ID, Service }: ConsulService) => ({
    ...{ Node: node, CheckID: `check-${ID}`, Name: ID, Status: 'passing' },
    ...{ ServiceID: ID, ServiceName: Service },
  });
  return [
    { Node: { Verb: 'set', Node: { Node: node, Address: '127.0.0.1' } } },
    ...services.flatMap((service) => [
      { Service: { Verb: 'set', Node: node, Service: service } },
      { Check: { Verb: 'set', Check: check(service) } },
    ]),
  ];
}
