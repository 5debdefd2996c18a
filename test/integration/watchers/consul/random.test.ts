/** Whatever is registered, turned, moved and renamed in Consul, of more services than connections: all of it is followed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../../../src/model.ts';
import { endpointsOf, readInstances } from '../../../../watchers/consul/service/endpoints.ts';
import { consulQuery, consulSettings } from '../../../../watchers/consul/settings.ts';
import { watchConsul } from '../../../../watchers/consul/watch.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';
import { listen } from '../../../../watchers/public/listen.ts';
import { startConsul } from '../../../servers/consul.ts';
import { forFile } from '../../../support/for-file.ts';
import { until } from '../../../support/index.ts';

const consul = await forFile(startConsul());

/** Of the third Consul finds the same by what it is asked for here. */
const odd = ['a/b', 'ü', 'Case', 'q"uote', 'With Space'];
const names = [...odd, ...Array.from({ length: 11 }, (_, at) => `plain-${at}`)];
const nodes = ['ext-0', 'Ext-1', 'ext/2'];

function asked(name: string): string {
  return name === 'Case' ? 'cASE' : name;
}

/** The same numbers for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What somebody does to the catalog; of nodes without an agent, as those of external services are. */
function change(next: (below: number) => number): { readonly path: string; readonly body: object } {
  const one = <T>(list: readonly [T, ...T[]]): T => list[next(list.length)] ?? list[0];
  const [node, name] = [nodes[next(nodes.length)] ?? '', names[next(names.length)] ?? ''];
  const [id, Address] = [`i${next(3)}`, `10.0.0.${1 + nodes.indexOf(node)}`];
  const here = { Node: node, Address };
  const Service = { ID: id, Service: name, Port: 9000 + next(3), Tags: [`t${next(2)}`] };
  const Status = one(['passing', 'warning', 'critical']);
  const checkOf = (CheckID: string, more = {}) => ({ Node: node, CheckID, Name: CheckID, Status, ...more });
  const register = (body: object) => ({ path: 'register', body });
  const deregister = (body: object) => ({ path: 'deregister', body: { Node: node, ...body } });
  return one([
    () => register({ ...here, Service }),
    () => register({ ...here, Service, Check: checkOf(`c-${id}`, { ServiceID: id }) }),
    () => register({ ...here, SkipNodeUpdate: true, Check: checkOf('of-the-node') }),
    () => register({ ...here, SkipNodeUpdate: true, Check: checkOf('_node_maintenance', { Status: 'critical' }) }),
    () => register({ ...here, Address: `10.0.${1 + next(200)}.1` }),
    () => deregister({ ServiceID: id }),
    () => deregister({ CheckID: `c-${id}` }),
    () => deregister({ CheckID: 'of-the-node' }),
    () => deregister({ CheckID: '_node_maintenance' }),
    () => deregister({}),
  ])();
}

function shown(endpoints: readonly Endpoint[] = []): readonly string[] {
  return endpoints.map((endpoint) => JSON.stringify(endpoint)).sort();
}

test('after any changes the endpoints are those of Consul within seconds', async () => {
  const settings = withCommon(consulSettings).parse({ address: consul.address, maxConnections: 6 });
  const queries = names.map((key) => ({ key, settings: consulQuery.parse({ service: asked(key), warning: 'use' }) }));
  for (const node of nodes)
    await consul.api('PUT', '/v1/catalog/register', { Node: node, Address: `10.0.0.${1 + nodes.indexOf(node)}` });
  for (const name of names) await consul.register({ name, port: 9001 });
  await using heard = listen((signal) => watchConsul(settings, {})(queries, signal));
  await until('synced', () => heard.count('synced') === 1);

  const truth = async (name: string): Promise<readonly string[]> => {
    const body = await consul.api('GET', `/v1/health/service/${encodeURIComponent(asked(name))}`);
    return shown(endpointsOf(readInstances(body), { warning: 'use' }).endpoints);
  };
  const next = random(7);
  for (let step = 0; step < 60; step += 1) {
    const { path, body } = change(next);
    // What is not there cannot be deregistered.
    await consul.api('PUT', `/v1/catalog/${path}`, body).catch((error: unknown) => assert.match(String(error), /HTTP/));
    // Far below the minute after which each service is asked anyway.
    await until(
      `change ${step} of ${JSON.stringify(body)}`,
      async () => {
        for (const name of names) if ((await truth(name)).join() !== shown(heard.endpoints(name)).join()) return false;
        return true;
      },
      { withinMs: 15_000, everyMs: 50 },
    );
  }
});
