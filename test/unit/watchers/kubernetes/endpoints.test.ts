import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type EndpointSlice,
  endpointSlice,
  type Service,
  service,
  understand,
} from '../../../../watchers/kubernetes/api/objects.ts';
import { type Choice, selectEndpoints } from '../../../../watchers/kubernetes/endpoints.ts';

const anyone: Choice = { zone: undefined, zonePolicy: 'hints', node: undefined, family: 'prefer4' };

function aService(spec: object = {}): Service {
  return understand('a Service', service, {
    metadata: { name: 'pg', namespace: 'shop', managedFields: [{}] },
    spec: { type: 'ClusterIP', ports: [{ name: 'sql', port: 5432, targetPort: 'db' }], ...spec },
  });
}

type Written = {
  readonly endpoints: readonly object[];
  readonly ports?: readonly object[];
  readonly addressType?: string;
};

function aSlice({
  endpoints,
  ports = [{ name: 'sql', port: 5432, protocol: 'TCP' }],
  addressType = 'IPv4',
}: Written): EndpointSlice {
  return understand('a slice', endpointSlice, {
    metadata: { name: 'pg-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'pg' } },
    addressType,
    endpoints,
    ports,
  });
}

/** A pod `name` at the address, ready unless `conditions` say otherwise. */
function pod(name: string, address: string, more: object = {}): object {
  return { addresses: [address], conditions: { ready: true }, targetRef: { kind: 'Pod', name }, ...more };
}

const leaving = { ready: false, serving: true, terminating: true };

function select(slices: readonly Written[], choice: Partial<Choice> = {}, spec: object = {}) {
  return selectEndpoints(aService(spec), slices.map(aSlice), { ...anyone, ...choice });
}

/** `id address:port state` of each, by id. */
function told(...args: Parameters<typeof select>): readonly string[] {
  const selected = select(...args);
  assert.equal(selected.kind, 'endpoints', JSON.stringify(selected));
  if (selected.kind !== 'endpoints') return [];
  return selected.endpoints.map(({ id, address, port, state }) => `${id} ${address}:${port} ${state}`).sort();
}

/** Nobody, which slices to come may deny. */
function isUnsettled(...args: Parameters<typeof select>): boolean {
  const selected = select(...args);
  assert.ok(selected.kind === 'endpoints', JSON.stringify(selected));
  if (selected.isUnsettled) assert.deepEqual(selected.endpoints, []);
  return selected.isUnsettled;
}

function refusal(...args: Parameters<typeof select>): string {
  const selected = select(...args);
  return selected.kind === 'refused' ? selected.reason : `not refused: ${JSON.stringify(selected)}`;
}

test('an endpoint is named by its pod and tells pod, node and zone', () => {
  assert.deepEqual(select([{ endpoints: [pod('pg-0', '10.0.0.1', { nodeName: 'n1', zone: 'a' })] }]), {
    kind: 'endpoints',
    endpoints: [
      {
        id: 'pg-0',
        address: '10.0.0.1',
        port: 5432,
        weight: 1,
        state: 'ready',
        meta: { pod: 'pg-0', node: 'n1', zone: 'a' },
        origin: { namespace: 'shop', node: 'n1', zone: 'a' },
      },
    ],
    unfit: [],
    isUnsettled: false,
    unmatched: null,
  });
});

// What becomes of it beside another endpoint that is ready, and alone; `unknown` is nil and what is left out.
const known = { no: false, yes: true, unknown: undefined } as const;
type Known = keyof typeof known;
const outcomes: readonly (readonly [Known, serving: Known, terminating: Known, beside: string, alone: string])[] = [
  ['unknown', 'unknown', 'unknown', 'ready', 'ready'],
  ['unknown', 'unknown', 'no', 'ready', 'ready'],
  ['unknown', 'unknown', 'yes', 'draining', 'ready'],
  ['unknown', 'no', 'unknown', 'ready', 'ready'],
  ['unknown', 'no', 'no', 'ready', 'ready'],
  ['unknown', 'no', 'yes', 'draining', 'ready'],
  ['unknown', 'yes', 'unknown', 'ready', 'ready'],
  ['unknown', 'yes', 'no', 'ready', 'ready'],
  ['unknown', 'yes', 'yes', 'draining', 'ready'],
  ['no', 'unknown', 'unknown', '', ''],
  ['no', 'unknown', 'no', '', ''],
  ['no', 'unknown', 'yes', 'draining', 'ready'],
  ['no', 'no', 'unknown', '', ''],
  ['no', 'no', 'no', '', ''],
  ['no', 'no', 'yes', '', ''],
  ['no', 'yes', 'unknown', '', ''],
  ['no', 'yes', 'no', '', ''],
  ['no', 'yes', 'yes', 'draining', 'ready'],
  ['yes', 'unknown', 'unknown', 'ready', 'ready'],
  ['yes', 'unknown', 'no', 'ready', 'ready'],
  // With publishNotReadyAddresses the control plane says ready of whatever there is.
  ['yes', 'unknown', 'yes', 'draining', 'ready'],
  ['yes', 'no', 'unknown', 'ready', 'ready'],
  ['yes', 'no', 'no', 'ready', 'ready'],
  ['yes', 'no', 'yes', 'draining', 'ready'],
  ['yes', 'yes', 'unknown', 'ready', 'ready'],
  ['yes', 'yes', 'no', 'ready', 'ready'],
  ['yes', 'yes', 'yes', 'draining', 'ready'],
];
for (const [ready, serving, terminating, beside, alone] of outcomes)
  test(`ready ${ready}, serving ${serving}, terminating ${terminating}: ${beside || 'no traffic'} beside a ready endpoint, ${alone || 'no traffic'} alone`, () => {
    const said = { ready: known[ready], serving: known[serving], terminating: known[terminating] };
    const nil = Object.fromEntries(Object.entries(said).map(([name, value]) => [name, value ?? null]));
    for (const conditions of [said, nil]) {
      const one = pod('one', '10.0.0.1', { conditions });
      const expected = beside === '' ? [] : [`one 10.0.0.1:5432 ${beside}`];
      assert.deepEqual(told([{ endpoints: [one, pod('two', '10.0.0.2')] }]), [...expected, 'two 10.0.0.2:5432 ready']);
      assert.deepEqual(told([{ endpoints: [one] }]), alone === '' ? [] : [`one 10.0.0.1:5432 ${alone}`]);
    }
  });

test('an endpoint without any conditions is ready', () => {
  for (const conditions of [{}, null, undefined])
    assert.deepEqual(told([{ endpoints: [pod('one', '10.0.0.1', { conditions })] }]), ['one 10.0.0.1:5432 ready']);
});

test('several slices are one list, each address and port once, ready where any slice says so', () => {
  const slices = [
    { endpoints: [pod('a', '10.0.0.1'), pod('b', '10.0.0.2', { conditions: { ready: false } })] },
    { endpoints: [pod('b', '10.0.0.2'), pod('c', '10.0.0.3', { conditions: leaving })] },
    { endpoints: [pod('c', '10.0.0.3', { conditions: leaving })] },
  ];
  const expected = ['a 10.0.0.1:5432 ready', 'b 10.0.0.2:5432 ready', 'c 10.0.0.3:5432 draining'];
  assert.deepEqual(told(slices), expected);
  assert.deepEqual(told(slices.toReversed()), expected);
});

test('endpoints without a name are known by where they are; of two with one name one keeps it', () => {
  assert.deepEqual(told([{ endpoints: [{ addresses: ['10.0.0.1'] }, { addresses: ['10.0.0.2', '10.0.0.3'] }] }]), [
    '10.0.0.1:5432 10.0.0.1:5432 ready',
    '10.0.0.2:5432 10.0.0.2:5432 ready',
  ]);
  // The old pod of a StatefulSet goes while the new one of the same name has come.
  const old = pod('pg-0', '10.0.0.1', { conditions: leaving });
  const young = pod('pg-0', '10.0.0.2');
  for (const endpoints of [
    [old, young],
    [young, old],
  ])
    assert.deepEqual(told([{ endpoints }]), ['10.0.0.1:5432 10.0.0.1:5432 draining', 'pg-0 10.0.0.2:5432 ready']);
});

test('an endpoint without an address, and a slice without endpoints or ports, are nobody', () => {
  assert.deepEqual(told([{ endpoints: [{ addresses: [] }] }, { endpoints: [] }]), []);
  const empty = understand('a slice', endpointSlice, {
    metadata: { name: 'x', namespace: 'shop', labels: null },
    addressType: 'IPv4',
    endpoints: null,
    ports: null,
  });
  assert.deepEqual(selectEndpoints(aService(), [empty], anyone), {
    kind: 'endpoints',
    endpoints: [],
    unfit: [],
    isUnsettled: false,
    unmatched: null,
  });
});

test('who is in the slices and gets no traffic here is told as unfit', () => {
  const unfit = (...args: Parameters<typeof select>): string[] => {
    const selected = select(...args);
    assert.ok(selected.kind === 'endpoints', JSON.stringify(selected));
    return selected.unfit.map(({ id, address, port }) => `${id} ${address}:${port}`).sort();
  };
  const ready = pod('pg-0', '10.0.0.1', { zone: 'a' });
  const notReady = pod('pg-1', '10.0.0.2', { conditions: { ready: false } });
  const ended = pod('pg-2', '10.0.0.3', { conditions: { ready: false, serving: false, terminating: true } });
  assert.deepEqual(unfit([{ endpoints: [ready, notReady, ended] }]), ['pg-1 10.0.0.2:5432', 'pg-2 10.0.0.3:5432']);
  const elsewhere = pod('pg-3', '10.0.0.4', { zone: 'b' });
  assert.deepEqual(unfit([{ endpoints: [ready, elsewhere] }], { zone: 'a', zonePolicy: 'only' }), [
    'pg-3 10.0.0.4:5432',
  ]);
});

test('a host name is handed on, for the catalog to refuse by name', () => {
  assert.deepEqual(told([{ addressType: 'FQDN', endpoints: [{ addresses: ['db.example.com'] }] }]), [
    'db.example.com:5432 db.example.com:5432 ready',
  ]);
});

const web = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'admin', port: 8080, targetPort: 'manage' },
  { name: 'dns', port: 53, protocol: 'UDP' },
];

/** Each port's number in the slice tells which one it was. */
const webSlice = {
  endpoints: [pod('a', '10.0.0.1')],
  ports: [
    { name: 'http', port: 8080 },
    { name: 'admin', port: 9999 },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ],
};
const wishes: readonly (readonly [string | number, number])[] = [
  ['http', 8080],
  [80, 8080],
  ['80', 8080],
  // The port of a Service goes before a targetPort of the same number.
  [8080, 9999],
  ['admin', 9999],
  ['manage', 9999],
];
for (const [wish, port] of wishes)
  test(`port ${JSON.stringify(wish)} is found by name, number or targetPort`, () => {
    assert.deepEqual(told([webSlice], { port: wish }, { ports: web }), [`a 10.0.0.1:${port} ready`]);
  });

test('a number finds a targetPort where no port has it', () => {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  assert.deepEqual(told([webSlice], { port: 8080 }, { ports }), ['a 10.0.0.1:8080 ready']);
});

test('a port that does not exist, is not TCP, or must be chosen is refused, and the ports are named', () => {
  assert.equal(
    refusal([webSlice], {}, { ports: web }),
    'the Service shop/pg has several ports: name one (it has http: 80, admin: 8080)',
  );
  assert.equal(
    refusal([webSlice], { port: 'dns' }, { ports: web }),
    'the Service shop/pg has no TCP port "dns" (it has http: 80, admin: 8080); UDP ports are not served',
  );
  assert.equal(
    refusal([], {}, { ports: [{ port: 53, protocol: 'UDP' }] }),
    'the Service shop/pg has no TCP port; UDP ports are not served',
  );
  assert.match(refusal([webSlice], { port: 81 }, { ports: web }), /has no TCP port 81 \(it has/);
  assert.match(refusal([], {}, { ports: undefined }), /has no TCP port$/);
});

test('without a wish the only TCP port is used, whatever else there is', () => {
  assert.deepEqual(told([webSlice], {}, { ports: [web[0], web[2]] }), ['a 10.0.0.1:8080 ready']);
});

test('a named port may be another number in each slice; a slice without it has nobody', () => {
  const slices = [
    { endpoints: [pod('a', '10.0.0.1')], ports: [{ name: 'sql', port: 5432 }] },
    { endpoints: [pod('b', '10.0.0.2')], ports: [{ name: 'sql', port: 6432 }] },
    { endpoints: [pod('c', '10.0.0.3')], ports: [{ name: 'other', port: 1 }] },
    { endpoints: [pod('d', '10.0.0.4')], ports: [{ name: 'sql', port: 5432, protocol: 'UDP' }] },
  ];
  assert.deepEqual(told(slices), ['a 10.0.0.1:5432 ready', 'b 10.0.0.2:6432 ready']);
});

test('a port that no slice has yet, of pods that are there, is no news that nobody is', () => {
  const renamed = { ports: [{ name: 'web', port: 80, targetPort: 8080 }] };
  const before = { endpoints: [pod('a', '10.0.0.1')], ports: [{ name: 'http', port: 8080 }] };
  const after = { ...before, ports: [{ name: 'web', port: 8080 }] };
  assert.ok(isUnsettled([before], {}, renamed));
  assert.ok(!isUnsettled([before, after], {}, renamed));
  assert.deepEqual(told([before, after], {}, renamed), ['a 10.0.0.1:8080 ready']);
  assert.ok(isUnsettled([before], {}, { ports: [{ port: 80 }] }), 'it lost its name');
  const inUdp = { ...before, ports: [{ name: 'web', port: 8080, protocol: 'UDP' }] };
  assert.ok(isUnsettled([inUdp], {}, renamed), 'of another protocol');
  const byName = { ports: [{ name: 'web', port: 80, targetPort: 'web' }] };
  assert.ok(isUnsettled([before], {}, byName), 'a port that pods name');
  assert.ok(isUnsettled([{ ...before, ports: [] }], {}, byName), 'no pod has it');
});

test('where nobody could be served anyway, a port that no slice has yet is nobody as well', () => {
  const renamed = { ports: [{ name: 'web', port: 80, targetPort: 8080 }] };
  const ports = [{ name: 'http', port: 8080 }];
  const unready = pod('a', '10.0.0.1', { conditions: { ready: false } });
  for (const endpoints of [[], [unready], [{ addresses: [] }]])
    assert.ok(!isUnsettled([{ endpoints, ports }], {}, renamed));
  const rewritten = { endpoints: [unready], ports: [{ name: 'web', port: 8080 }] };
  assert.ok(!isUnsettled([{ endpoints: [pod('b', '10.0.0.2')], ports }, rewritten], {}, renamed));
});

test('of several ports a new one is waited for; one that the pods name is nobody where those that are there have it not', () => {
  const ports = [web[0], web[2], { name: 'new', port: 81 }];
  const before = { endpoints: [pod('a', '10.0.0.1')], ports: [webSlice.ports[0] ?? {}, webSlice.ports[2] ?? {}] };
  assert.ok(isUnsettled([before], { port: 'new' }, { ports }));
  // The pods that had `manage` are gone, those of the other ports are not.
  assert.ok(!isUnsettled([before], { port: 'admin' }, { ports: web }));
});

test('a port without a name is that of slices whose port has none', () => {
  for (const port of [{ port: 8080 }, { name: '', port: 8080 }, { name: null, port: 8080 }])
    assert.deepEqual(told([{ endpoints: [pod('a', '10.0.0.1')], ports: [port] }], {}, { ports: [{ port: 80 }] }), [
      'a 10.0.0.1:8080 ready',
    ]);
});

test('a headless Service has its ports in the slices; without ports the number is the wish', () => {
  const headless = { clusterIP: 'None' };
  assert.deepEqual(told([{ endpoints: [pod('a', '10.0.0.1')] }], {}, headless), ['a 10.0.0.1:5432 ready']);
  const bare = { ...headless, ports: null };
  const slice = { endpoints: [pod('a', '10.0.0.1')], ports: [] };
  assert.deepEqual(told([slice], { port: 5433 }, bare), ['a 10.0.0.1:5433 ready']);
  assert.match(refusal([slice], {}, bare), /has no TCP port/);
  assert.match(refusal([slice], { port: 'sql' }, bare), /has no TCP port "sql"/);
});

const dual = [
  { addressType: 'IPv4', endpoints: [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')] },
  { addressType: 'IPv6', endpoints: [pod('a', 'fd00::1'), pod('c', 'fd00::3')] },
];
const families: Readonly<Record<Choice['family'], readonly string[]>> = {
  prefer4: ['a 10.0.0.1:5432 ready', 'b 10.0.0.2:5432 ready', 'c fd00::3:5432 ready'],
  prefer6: ['a fd00::1:5432 ready', 'b 10.0.0.2:5432 ready', 'c fd00::3:5432 ready'],
  both: ['a 10.0.0.1:5432 ready', 'a:v6 fd00::1:5432 ready', 'b 10.0.0.2:5432 ready', 'c:v6 fd00::3:5432 ready'],
};
for (const [family, expected] of Object.entries(families) as [Choice['family'], readonly string[]][])
  test(`of a pod with both families, ${family} takes what it says, and of a pod with one that one`, () => {
    assert.deepEqual(told(dual, { family }), expected);
    assert.deepEqual(told(dual.toReversed(), { family }), expected);
  });

test('a pod whose preferred address is not ready does not come in by the other one', () => {
  const slices = [
    { addressType: 'IPv4', endpoints: [pod('a', '10.0.0.1', { conditions: { ready: false } })] },
    { addressType: 'IPv6', endpoints: [pod('a', 'fd00::1')] },
  ];
  assert.deepEqual(told(slices), []);
});

test('an address that belongs to no pod stands for itself, whatever its family and those beside it', () => {
  const four = { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }, pod('a', '10.0.0.2')] };
  const six = { addressType: 'IPv6', endpoints: [{ addresses: ['fd00::1'] }, pod('a', 'fd00::2')] };
  const owned = 'a 10.0.0.2:5432 ready';
  const foreign = ['10.0.0.1:5432 10.0.0.1:5432 ready', 'fd00::1:5432 fd00::1:5432 ready'];
  assert.deepEqual(told([four, six]), [...foreign, owned].sort());
  assert.deepEqual(told([six, four], { family: 'prefer6' }), [...foreign, 'a fd00::2:5432 ready'].sort());
});

test('where slices have somebody, but not at the port that is asked for, one of them is named with the ports it has', () => {
  const unmatched = (...args: Parameters<typeof select>) => {
    const selected = select(...args);
    return selected.kind === 'endpoints' ? selected.unmatched : null;
  };
  const other = { endpoints: [pod('a', '10.0.0.1')], ports: [{ name: 'web', port: 80 }] };
  assert.deepEqual(unmatched([other]), {
    id: 'pg-1',
    reason: 'the EndpointSlice pg-1 has no TCP port "sql" (it has web: 80)',
  });
  const many = Array.from({ length: 100 }, (_, at) => ({ name: `p${at}`, port: at + 1 }));
  assert.match(unmatched([{ ...other, ports: many }])?.reason ?? '', /p9: 10, and 90 more\)$/);
  assert.match(refusal([other], { port: 'none' }, { ports: many }), /p9: 10, and 90 more\)$/);
  assert.equal(unmatched([other, { endpoints: [pod('b', '10.0.0.2')] }]), null);
  assert.equal(unmatched([{ ...other, endpoints: [] }]), null);
});

const hint = (...zones: readonly string[]) => ({ hints: { forZones: zones.map((name) => ({ name })) } });

test('hints choose the zone when every ready endpoint has one and one of them is ours', () => {
  const hinted = [
    pod('a', '10.0.0.1', hint('za')),
    pod('b', '10.0.0.2', hint('zb', 'za')),
    pod('c', '10.0.0.3', hint('zb')),
  ];
  assert.deepEqual(told([{ endpoints: hinted }], { zone: 'za' }), ['a 10.0.0.1:5432 ready', 'b 10.0.0.2:5432 ready']);
  assert.deepEqual(told([{ endpoints: hinted }], { zone: 'zb' }), ['b 10.0.0.2:5432 ready', 'c 10.0.0.3:5432 ready']);
  assert.equal(told([{ endpoints: hinted }], { zone: 'zc' }).length, 3, 'no hint is ours');
  assert.equal(told([{ endpoints: hinted }]).length, 3, 'we do not know our zone');
  assert.equal(told([{ endpoints: hinted }], { zone: 'za', zonePolicy: 'ignore' }).length, 3);
  assert.equal(told([{ endpoints: [...hinted, pod('d', '10.0.0.4')] }], { zone: 'za' }).length, 4, 'one has no hint');
  const unready = pod('d', '10.0.0.4', { conditions: { ready: false } });
  assert.equal(told([{ endpoints: [...hinted, unready] }], { zone: 'za' }).length, 2, 'who is not ready needs none');
  const empty = pod('d', '10.0.0.4', { hints: { forZones: null } });
  assert.equal(told([{ endpoints: [...hinted, empty] }], { zone: 'za' }).length, 4, 'an empty hint is none');
});

test('hints for a node go before hints for a zone', () => {
  const forNode = (node: string, zone: string) => ({
    hints: { forNodes: [{ name: node }], forZones: [{ name: zone }] },
  });
  const endpoints = [pod('a', '10.0.0.1', forNode('n1', 'za')), pod('b', '10.0.0.2', forNode('n2', 'za'))];
  assert.deepEqual(told([{ endpoints }], { zone: 'za', node: 'n1' }), ['a 10.0.0.1:5432 ready']);
  assert.equal(told([{ endpoints }], { zone: 'za', node: 'n3' }).length, 2);
  assert.equal(told([{ endpoints }], { zone: 'za' }).length, 2);
});

test('who leaves finishes its connections in its own zone; when nobody is ready it serves, wherever it is', () => {
  const gone = pod('b', '10.0.0.2', { conditions: leaving, zone: 'zb' });
  const here = pod('c', '10.0.0.3', { conditions: leaving, zone: 'za' });
  const ready = pod('a', '10.0.0.1', { ...hint('za'), zone: 'za' });
  assert.deepEqual(told([{ endpoints: [ready, gone, here] }], { zone: 'za' }), [
    'a 10.0.0.1:5432 ready',
    'c 10.0.0.3:5432 draining',
  ]);
  for (const zonePolicy of ['hints', 'prefer', 'ignore'] as const)
    assert.equal(told([{ endpoints: [gone, here] }], { zone: 'za', zonePolicy }).length, 2, zonePolicy);
});

test('prefer uses its zone while one there is ready, only never uses another', () => {
  const a = pod('a', '10.0.0.1', { zone: 'za' });
  const b = pod('b', '10.0.0.2', { zone: 'zb' });
  const nowhere = pod('c', '10.0.0.3');
  const sick = pod('a', '10.0.0.1', { zone: 'za', conditions: { ready: false } });
  const prefer: Partial<Choice> = { zone: 'za', zonePolicy: 'prefer' };
  const only: Partial<Choice> = { zone: 'za', zonePolicy: 'only' };
  assert.deepEqual(told([{ endpoints: [a, b, nowhere] }], prefer), ['a 10.0.0.1:5432 ready']);
  assert.deepEqual(told([{ endpoints: [sick, b, nowhere] }], prefer), [
    'b 10.0.0.2:5432 ready',
    'c 10.0.0.3:5432 ready',
  ]);
  assert.deepEqual(told([{ endpoints: [a, b, nowhere] }], only), ['a 10.0.0.1:5432 ready']);
  assert.deepEqual(told([{ endpoints: [sick, b, nowhere] }], only), []);
});

test('internalTrafficPolicy Local means this node and no other, where the node is known', () => {
  const local = { internalTrafficPolicy: 'Local' };
  const here = pod('a', '10.0.0.1', { nodeName: 'n1' });
  const there = pod('b', '10.0.0.2', { nodeName: 'n2' });
  const goingHere = pod('a', '10.0.0.1', { nodeName: 'n1', conditions: leaving });
  assert.deepEqual(told([{ endpoints: [here, there] }], { node: 'n1' }, local), ['a 10.0.0.1:5432 ready']);
  assert.deepEqual(told([{ endpoints: [here, there] }], { node: 'n3' }, local), []);
  assert.deepEqual(told([{ endpoints: [goingHere, there] }], { node: 'n1' }, local), ['a 10.0.0.1:5432 ready']);
  assert.equal(told([{ endpoints: [here, there] }], {}, local).length, 2);
  assert.equal(told([{ endpoints: [here, there] }], { node: 'n1' }, { internalTrafficPolicy: 'Cluster' }).length, 2);
});

const someEndpoint = fc.record({
  addresses: fc.constantFrom(['10.0.0.1'], ['10.0.0.2'], ['10.0.0.3']),
  conditions: fc.record(
    { ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() },
    { requiredKeys: [] },
  ),
  zone: fc.constantFrom('za', 'zb', undefined),
  nodeName: fc.constantFrom('n1', 'n2'),
  targetRef: fc.constantFrom({ kind: 'Pod', name: 'a' }, { kind: 'Pod', name: 'b' }, undefined),
  hints: fc.constantFrom(hint('za').hints, hint('zb').hints, undefined),
});
const someSlices = fc.array(
  fc.record({ endpoints: fc.array(someEndpoint, { maxLength: 4 }), addressType: fc.constantFrom('IPv4', 'IPv6') }),
  { maxLength: 3 },
);

test('whatever the order of slices and endpoints, the result is the same; ids, addresses and ports are unique', () => {
  fc.assert(
    fc.property(someSlices, fc.constantFrom('prefer4', 'prefer6', 'both'), (slices, family) => {
      const choice: Choice = { ...anyone, zone: 'za', node: 'n1', family };
      const forwards = told(slices, choice);
      const backwards = slices.toReversed().map((slice) => ({ ...slice, endpoints: slice.endpoints.toReversed() }));
      assert.deepEqual(select(backwards, choice), select(slices, choice));
      const ids = forwards.map((line) => line.split(' ')[0]);
      const places = forwards.map((line) => line.split(' ')[1]);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(new Set(places).size, places.length);
    }),
  );
});

test('while an endpoint is ready somewhere and no policy is strict, somebody gets traffic', () => {
  fc.assert(
    fc.property(someSlices, fc.constantFrom('hints', 'prefer', 'ignore'), (slices, zonePolicy) => {
      const isReady = ({
        conditions: { ready = true, terminating = false },
      }: {
        conditions: Record<string, boolean | undefined>;
      }) => ready && !terminating;
      const choice: Choice = { ...anyone, zone: 'za', node: 'n1', zonePolicy, family: 'both' };
      const somebody = slices.some(({ endpoints }) => endpoints.some(isReady));
      if (somebody) assert.ok(told(slices, choice).some((line) => line.endsWith(' ready')));
    }),
  );
});
