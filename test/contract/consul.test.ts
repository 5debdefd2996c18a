/** The contract with a real Consul agent, seen through a proxy that can be told to fail. */
import { consul } from '../../watchers/consul/index.ts';
import {
  type DiscoverySubject,
  discoversByTheContract,
  holdsTheContract,
  type Subject,
  watchOf,
} from '../../watchers/public/contract.ts';
import { startConsul } from '../servers/consul.ts';
import { startFaultProxy } from '../servers/fault-proxy.ts';
import { forFile } from '../support/for-file.ts';
import { servesWithinLimits } from '../support/within-limits.ts';

const agent = await forFile(startConsul());

let subjects = 0;

async function makeSubject(): Promise<Subject> {
  const proxy = await startFaultProxy(agent.address);
  const budget = 4;
  // One agent serves all tests: the names tell them apart.
  const prefix = `subject-${subjects++}-`;
  const registered = new Map<string, readonly string[]>();
  return {
    // A short wait, so that silence is noticed soon.
    watch: await watchOf(consul, { address: proxy.address, wait: '500ms', maxConnections: budget }),
    settings: (service) => ({ service: prefix + service, tags: [], stale: true, warning: 'ignore' }),
    async put(service, addresses) {
      const name = prefix + service;
      for (const old of registered.get(service) ?? [])
        if (!addresses.includes(old)) await agent.deregister(`${name}-${old}`);
      for (const text of addresses) {
        const [address = '', port] = text.split(':');
        await agent.register({ name, id: `${name}-${text}`, address, port: Number(port) });
      }
      registered.set(service, addresses);
    },
    async judge(service, unfit) {
      const name = prefix + service;
      for (const text of registered.get(service) ?? [])
        await agent.setCheck(`${name}-${text}`, unfit.includes(text) ? 'fail' : 'pass');
    },
    fail: async () => proxy.spoil({ kind: 'status', status: 500, body: 'No cluster leader' }, { breakOff: true }),
    mend: async () => proxy.spoil(null),
    async flicker(service) {
      // What a revoked token once made of a waiting question.
      let isFirst = true;
      proxy.spoil((url) => {
        if (!isFirst || !url.pathname.endsWith(prefix + service)) return null;
        isFirst = false;
        const headers = { 'content-type': 'application/json', 'x-consul-index': '1' };
        return { kind: 'status', status: 200, body: '[]', headers };
      });
    },
    connections: {
      budget,
      open: () => proxy.connections.open,
      most: () => proxy.connections.most,
      fallSilent: async () => proxy.spoil({ kind: 'silent' }),
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

async function makeDiscoverySubject(): Promise<DiscoverySubject> {
  const proxy = await startFaultProxy(agent.address);
  const prefix = `subject-${subjects++}-`;
  const tag = `${prefix}tag`;
  return {
    watch: await watchOf(consul, { address: proxy.address, wait: '500ms' }),
    query: { tag, meta: {} },
    nameOf: (service) => prefix + service,
    async offer(service, options, addresses) {
      const tags = [tag, ...Object.entries(options).map(([option, value]) => `myelin.${option}=${value}`)];
      for (const text of addresses) {
        const [address = '', port] = text.split(':');
        const name = prefix + service;
        await agent.register({ name, id: `${name}-${text}`, address, port: Number(port), tags });
      }
    },
    // The instance stays, without the tag.
    withdraw: (service) =>
      agent.register({
        name: prefix + service,
        id: `${prefix}${service}-127.0.0.1:9001`,
        address: '127.0.0.1',
        port: 9001,
      }),
    fail: async () => proxy.spoil({ kind: 'status', status: 500, body: 'No cluster leader' }, { breakOff: true }),
    mend: async () => proxy.spoil(null),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

holdsTheContract('Consul', makeSubject, { failsBy: 'throwing', connections: true });
discoversByTheContract('Consul', makeDiscoverySubject, { failsBy: 'throwing' });
servesWithinLimits('Consul', makeDiscoverySubject, { watcher: '{ type: consul }', keys: 'tag: expose, ' });
