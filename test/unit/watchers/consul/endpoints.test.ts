import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { endpointsOf, readInstances } from '../../../../watchers/consul/service/endpoints.ts';

type Checks = readonly { readonly CheckID: string; readonly Status: string }[];

function instance(checks: Checks, service: object = {}) {
  return {
    ID: 'ignored',
    Node: { Node: 'node-1', Address: '10.0.0.1', Datacenter: 'dc1' },
    Service: { ID: 'web-1', Service: 'web', Address: '10.1.0.1', Port: 80, Tags: ['a'], Meta: { v: '1' }, ...service },
    Checks: checks,
  };
}

type How = { readonly service?: object; readonly warning?: 'use' | 'ignore' };

function judge(checks: Checks, { service = {}, warning = 'use' }: How = {}) {
  return endpointsOf(readInstances([instance(checks, service)]), { warning }).endpoints;
}

const passing = { CheckID: 'serfHealth', Status: 'passing' };

test('an instance is named by node and service, with its tags, its meta and where it is', () => {
  const named = { id: 'node-1:web-1', address: '10.1.0.1', port: 80, weight: 1, state: 'ready' };
  const origin = { node: 'node-1', datacenter: 'dc1' };
  assert.deepEqual(judge([passing]), [{ ...named, tags: ['a'], meta: { v: '1' }, origin }]);
});

test('the address of the node counts where the service has none', () => {
  assert.equal(judge([passing], { service: { Address: '' } })[0]?.address, '10.0.0.1');
});

test('a critical check, or one of a status nobody knows, takes an instance out', () => {
  assert.deepEqual(judge([passing, { CheckID: 'http', Status: 'critical' }]), []);
  assert.deepEqual(judge([passing, { CheckID: 'http', Status: 'odd' }]), []);
});

test('who is there and gets no traffic is told as unfit', () => {
  const [critical, warning] = ['critical', 'warning'].map((Status) => [passing, { CheckID: 'http', Status }]);
  const unfit = [{ id: 'node-1:web-1', address: '10.1.0.1', port: 80 }];
  const judged = (checks: Checks | undefined, how: 'use' | 'ignore') =>
    endpointsOf(readInstances([instance(checks ?? [])]), { warning: how }).unfit;
  assert.deepEqual(judged(critical, 'use'), unfit);
  assert.deepEqual(judged(warning, 'ignore'), unfit);
  assert.deepEqual(judged(warning, 'use'), []);
});

test('an instance without checks is used', () => {
  assert.equal(judge([]).length, 1);
});

test('an instance with a warning is used with its warning weight, or left out where the query says so', () => {
  const checks = [passing, { CheckID: 'http', Status: 'warning' }];
  const service = { Weights: { Passing: 10, Warning: 3 } };
  assert.equal(judge(checks, { service })[0]?.weight, 3);
  assert.equal(judge([passing], { service })[0]?.weight, 10);
  assert.deepEqual(judge(checks, { service, warning: 'ignore' }), []);
});

test('maintenance of the node or the service drains an instance, whatever its other checks say', () => {
  for (const CheckID of ['_node_maintenance', '_service_maintenance:web-1'])
    for (const other of ['passing', 'warning', 'critical'])
      assert.deepEqual(
        judge([
          { CheckID, Status: 'critical' },
          { CheckID: 'http', Status: other },
        ]).map(({ state }) => state),
        ['draining'],
      );
});

test('weights beyond 256 keep their ratio within what HAProxy takes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1 }), (weights) => {
      const found = weights.map((Passing) => instance([passing], { Weights: { Passing, Warning: 1 } }));
      const scaled = endpointsOf(readInstances(found), { warning: 'use' }).endpoints.map(({ weight }) => weight);
      assert.ok(scaled.every((weight) => weight >= 1 && weight <= 256));
      if (Math.max(...weights) <= 256) assert.deepEqual(scaled, weights);
      else assert.equal(Math.max(...scaled), 256);
    }),
  );
});

test('a port of 0 is passed on, for the catalog to refuse and report', () => {
  assert.equal(judge([passing], { service: { Port: 0 } })[0]?.port, 0);
});

test('old agents answer null for no tags, no meta and no weights', () => {
  const [endpoint] = judge([passing], { service: { Tags: null, Meta: null, Weights: null } });
  assert.deepEqual([endpoint?.tags, endpoint?.meta, endpoint?.weight], [[], {}, 1]);
});

test('anything but a list of instances is an error that says what is wrong', () => {
  for (const body of [undefined, null, '<html>', {}, [1]])
    assert.throws(() => readInstances(body), /not a list of service instances/);
  assert.throws(() => readInstances([{ Node: { Node: 'n', Address: 'a' } }]), /0\.Service: /);
});
