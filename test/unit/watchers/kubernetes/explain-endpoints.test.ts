import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointSlice, service, understand } from '../../../../watchers/kubernetes/api/objects.ts';
import type { Choice } from '../../../../watchers/kubernetes/endpoints.ts';
import { explainEndpoints } from '../../../../watchers/kubernetes/explain-endpoints.ts';

const anyone: Choice = { zone: undefined, zonePolicy: 'hints', node: undefined, family: 'prefer4' };

type Written = { readonly endpoints: readonly object[]; readonly port?: string; readonly addressType?: string };

/** A line each: `ID ADDRESS:PORT: why it gets no traffic`, or `serves` and what is said of it. */
function told(slices: readonly Written[], choice: Partial<Choice> = {}, spec: object = {}): readonly string[] {
  const web = understand('a Service', service, {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { ports: [{ name: 'http', port: 80 }], ...spec },
  });
  const read = slices.map(({ endpoints, port = 'http', addressType = 'IPv4' }, at) =>
    understand('a slice', endpointSlice, {
      metadata: { name: `web-${at}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
      ports: [{ name: port, port: 8080, protocol: 'TCP' }],
      ...{ endpoints, addressType },
    }),
  );
  return explainEndpoints(web, read, { ...anyone, ...choice }).map(
    ({ id, address, port, unfit, said }) => `${id} ${address}:${port}: ${unfit ?? `serves, ${said.join(', ')}`}`,
  );
}

const pod = (name: string, address: string, more: object = {}): object => ({
  addresses: [address],
  targetRef: { kind: 'Pod', name },
  ...more,
});
const a = pod('a', '10.0.0.1', { nodeName: 'n1', zone: 'za' });
const b = pod('b', '10.0.0.2', { nodeName: 'n2', zone: 'zb' });

test('each endpoint of a Service serves, or the reason is told: state, address, port, family', () => {
  assert.deepEqual(
    told([
      {
        endpoints: [
          a,
          pod('b', '10.0.0.2', { conditions: { ready: false } }),
          pod('c', '10.0.0.3', { conditions: { ready: false, serving: true, terminating: true } }),
          pod('d', '10.0.0.4', { conditions: { ready: false, serving: false, terminating: true } }),
          { addresses: [], targetRef: { kind: 'Pod', name: 'e' } },
        ],
      },
      { endpoints: [pod('f', '10.0.0.5')], port: 'admin' },
      { endpoints: [pod('a', 'fd00::1')], addressType: 'IPv6' },
    ]),
    [
      'a 10.0.0.1:8080: serves, it is ready, on node n1, in zone za',
      'b 10.0.0.2:8080: it is not ready',
      'c 10.0.0.3:8080: serves, it is terminating, and still serves',
      'd 10.0.0.4:8080: it is terminating, and serves no more',
      'a fd00::1:8080: its pod has an address of the other family as well, which is used (`family: prefer4`)',
      'f 10.0.0.5:0: its EndpointSlice web-1 has no TCP port "http" (it has admin: 8080)',
      'e :0: it has no address in the EndpointSlice web-0',
    ],
  );
});

test('an endpoint that is for others is told with the place that it is for', () => {
  const other = (choice: Partial<Choice>, spec: object = {}, slices: readonly Written[] = [{ endpoints: [a, b] }]) =>
    told(slices, choice, spec)[1];
  const local = { internalTrafficPolicy: 'Local' };
  assert.match(
    other({ node: 'n1' }, local) ?? '',
    /^b .*: it is on n2, and `internalTrafficPolicy: Local` keeps to n1$/,
  );
  assert.match(other({ zone: 'za', zonePolicy: 'only' }) ?? '', /in zone zb, and `zonePolicy: only` keeps to za$/);
  assert.match(other({ zone: 'za', zonePolicy: 'prefer' }) ?? '', /in zone zb, and `zonePolicy: prefer` keeps to za$/);
  const hinted = (one: object, zone: string): object => ({ ...one, hints: { forZones: [{ name: zone }] } });
  assert.match(
    other({ zone: 'za' }, {}, [{ endpoints: [hinted(a, 'za'), hinted(b, 'zb')] }]) ?? '',
    /the cluster means it for zb, and others for za \(`zonePolicy: hints`\)$/,
  );
  assert.match(other({ zone: 'za' }) ?? '', /serves/, 'without hints all are used');
});

test('an address in two slices is one endpoint, as it is in the better one', () => {
  const notReady = pod('a', '10.0.0.1', { conditions: { ready: false } });
  assert.deepEqual(told([{ endpoints: [notReady] }, { endpoints: [pod('a', '10.0.0.1')] }]), [
    'a 10.0.0.1:8080: serves, it is ready',
  ]);
});
