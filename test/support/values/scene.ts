/** A Myelin on a bad morning, for pictures of the page and for what needs thousands of services: all made up, always the same. */
import type { Timestamp } from '../../../src/model.ts';
import type { Event } from '../../../src/report/events.ts';
import type { AppliedPlan } from '../../../src/report/last-plans.ts';
import type { RouteStatus } from '../../../src/report/routes.ts';
import type { ServerStatus } from '../../../src/report/servers.ts';
import type { ServiceStatus, Status } from '../../../src/report/status.ts';
import type { Why } from '../../../src/report/why.ts';

const minute = 60_000;
const day = 86_400_000;
export const sceneNow: Timestamp = Date.UTC(2026, 2, 12, 9, 47, 12);

const teams = ['cart', 'catalog', 'checkout', 'identity', 'media', 'orders', 'payments', 'search', 'shipping', 'stock'];
const parts = ['api', 'admin', 'batch', 'cache', 'events', 'feed', 'gateway', 'index', 'jobs', 'mail', 'proxy', 'web'];

/** Between 0 and 1, always the same for the same number. */
function chance(seed: number): number {
  const x = Math.sin(seed * 12.9898 + 78.233) * 43_758.5453;
  return x - Math.floor(x);
}

function well(name: string, at: number): ServiceStatus {
  const up = 1 + Math.floor(chance(at) * 6);
  const sessions = Math.floor(chance(at + 0.5) * 180);
  return {
    name,
    endpoints: { ready: up, draining: 0, kept: 0, unfit: 0, refused: 0 },
    lacksEndpoints: false,
    unanswered: [],
    stale: null,
    kept: null,
    refused: [],
    refusedCount: 0,
    quarantined: null,
    health: {
      isDown: false,
      servers: { up, down: 0, draining: 0, maint: 0 },
      sessions,
      queued: 0,
      sessionsPerSec: Math.floor(sessions / 3),
      down: [],
    },
  };
}

function down(name: string, counts: { readonly up: number; readonly down: number }, since: Timestamp): ServiceStatus {
  const service = well(name, 1);
  const reason = 'L7STS, Layer7 wrong status: 503 Service Unavailable';
  return {
    ...service,
    endpoints: { ...service.endpoints, ready: counts.up + counts.down },
    health: {
      isDown: counts.up === 0,
      servers: { ...counts, draining: 0, maint: 0 },
      sessions: counts.up * 12,
      queued: counts.up === 0 ? 31 : 0,
      sessionsPerSec: counts.up * 4,
      down: [{ backend: name, server: `${name}-1`, address: '10.4.17.23:8080', since, reason }],
    },
  };
}

function services(many: number): readonly ServiceStatus[] {
  const names = Array.from({ length: many }, (_, at) => {
    const round = Math.floor(at / (teams.length * parts.length));
    const [team, part] = [teams[at % teams.length], parts[Math.floor(at / teams.length) % parts.length]];
    return `${team}-${part}${round === 0 ? '' : `-${round + 1}`}`;
  });
  const special: Readonly<Record<string, ServiceStatus>> = {
    'payments-gateway': down('payments-gateway', { up: 0, down: 3 }, sceneNow - 2 * minute),
    'search-index': down('search-index', { up: 5, down: 1 }, sceneNow - 11 * minute),
    'media-proxy': {
      ...well('media-proxy', 7),
      quarantined: {
        since: sceneNow - 9 * minute,
        problems: [{ message: "unknown keyword 'http-reponse' in 'backend' section", service: 'media-proxy' }],
        servers: 4,
      },
    },
    'stock-feed': {
      ...well('stock-feed', 3),
      endpoints: { ready: 0, draining: 0, kept: 6, unfit: 0, refused: 0 },
      kept: { reason: 'shrunk', since: sceneNow - 6 * minute, until: sceneNow + 4 * minute },
    },
    'cart-jobs': {
      ...well('cart-jobs', 4),
      endpoints: { ready: 2, draining: 1, kept: 0, unfit: 0, refused: 0 },
      health: {
        isDown: false,
        servers: { up: 2, down: 0, draining: 1, maint: 0 },
        sessions: 9,
        queued: 0,
        sessionsPerSec: 2,
        down: [],
      },
    },
  };
  return names.map((name, at) => special[name] ?? well(name, at));
}

export function sceneStatus(many: number, isWell = false): Status {
  const all = services(many);
  const bad: Status = {
    version: '0.1.0',
    at: sceneNow,
    config: '/etc/myelin/myelin.yaml',
    state: 'degraded',
    stateReasons: ['source_down', 'service_quarantined', 'service_down', 'endpoints_kept'],
    startedAt: sceneNow - 12 * day,
    waitingFor: [],
    haproxy: {
      pid: 4711,
      version: '3.4.1',
      generation: 38,
      since: sceneNow - 4 * minute,
      socket: '/run/myelin/admin.sock',
      unresponsive: null,
      masterTrouble: null,
      fileTrouble: null,
      drift: [],
      oldWorkers: [
        { pid: 4502, generation: 37, since: sceneNow - 4 * minute, connections: 18 },
        { pid: 3984, generation: 36, since: sceneNow - 52 * minute, connections: 2 },
      ],
    },
    healthAskedAt: sceneNow - 200,
    lastApply: {
      at: sceneNow - 20_000,
      result: 'runtime',
      reasons: [],
      backends: ['orders-web'],
      tookMs: 3,
      error: null,
    },
    lastReload: {
      at: sceneNow - 4 * minute,
      reasons: [{ code: 'bind_changed', section: 'frontend public' }],
      tookMs: 212,
    },
    refusedConfig: null,
    waitingConfig: null,
    pending: null,
    orders: [
      {
        backend: 'orders-web',
        server: 'orders-web-2',
        state: 'drain',
        since: sceneNow - 7 * minute,
        until: sceneNow + 23 * minute,
      },
    ],
    sources: [
      {
        name: 'consul',
        state: 'down',
        required: true,
        synced: true,
        lastSuccess: sceneNow - 6 * minute,
        down: { reason: 'connect ECONNREFUSED 127.0.0.1:8500', since: sceneNow - 6 * minute },
        unserved: 2,
      },
      {
        name: 'cluster',
        state: 'up',
        required: true,
        synced: true,
        lastSuccess: sceneNow,
        down: null,
        unserved: 0,
      },
    ],
    services: all,
    outputs: [
      {
        name: 'hosts',
        path: '/etc/hosts.d/myelin',
        state: 'current',
        failed: null,
        writtenAt: sceneNow - 20_000,
      },
    ],
    unserved: [{ watcher: 'consul', service: 'legacy-ftp', reason: 'mode: "ftp" is not allowed; allowed: http, tcp' }],
    frontends: [{ name: 'public', routes: 9, leftOut: 1 }],
    certificates: [
      {
        frontend: 'public',
        name: 'shop',
        file: '/etc/myelin/certs/shop.pem',
        names: ['shop.example.com', '*.shop.example.com'],
        notAfter: sceneNow + 71 * day,
        serial: '03A7',
        isDefault: true,
        problem: null,
      },
      {
        frontend: 'public',
        name: 'pay',
        file: '/etc/myelin/certs/pay.pem',
        names: ['pay.example.com'],
        notAfter: sceneNow + 6 * day,
        serial: '1C09',
        isDefault: false,
        problem: null,
      },
      {
        frontend: 'public',
        name: 'blog',
        file: '/etc/myelin/certs/blog.pem',
        names: ['blog.example.com'],
        notAfter: sceneNow + 40 * day,
        serial: '44F1',
        isDefault: false,
        problem: 'its key does not fit its certificate',
      },
    ],
    caFiles: [],
    routesLeftOut: [{ service: 'media-web', frontend: 'public', route: 'shop.example.com/img', holder: 'catalog-web' }],
  };
  if (!isWell) return bad;
  return {
    ...bad,
    state: 'ready',
    stateReasons: [],
    orders: [],
    unserved: [],
    routesLeftOut: [],
    frontends: [{ name: 'public', routes: 9, leftOut: 0 }],
    sources: bad.sources.map((source) => ({ ...source, state: 'up', down: null, unserved: 0, lastSuccess: sceneNow })),
    services: all.map(({ name }, at) => well(name, at)),
    certificates: bad.certificates.map((each) => ({ ...each, notAfter: sceneNow + 71 * day, problem: null })),
  };
}

/** Without their ids, which follow from their order. */
function happenings(): readonly (Pick<Event, 'kind' | 'at'> & Record<string, unknown>)[] {
  const ago = (minutes: number): Timestamp => sceneNow - minutes * minute;
  const changes = Array.from({ length: 46 }, (_, at) => ({ at: ago(14.8 - at * 0.31 + chance(at) * 0.4), seed: at }))
    // The cluster alone still has news.
    .filter(({ at, seed }) => at < ago(6) || seed % 3 === 0)
    .map(({ at, seed }) => ({
      kind: 'runtime' as const,
      at: Math.min(at, sceneNow - 20_000),
      backends: [`${teams[seed % 10]}-${parts[seed % 12]}`],
      more: 0,
      commands: 1 + Math.floor(chance(seed) * 4),
      tookMs: 2 + chance(seed) * 5,
      sinceChangeMs: seed % 17 === 3 ? 74 : 5 + chance(seed + 9) * 16,
    }));
  const problems = [
    { message: "unknown keyword 'http-reponse' in 'backend' section", line: 912, service: 'media-proxy' },
  ];
  return [
    ...changes,
    {
      kind: 'reload' as const,
      at: ago(12.2),
      reasons: [{ code: 'proxy_added', section: 'backend stock-mail' }],
      more: 0,
      tookMs: 240,
      reloadMs: 221,
      sinceChangeMs: 262,
    },
    { kind: 'quarantined' as const, at: ago(9), services: ['media-proxy'], problems, more: 0 },
    {
      kind: 'reload' as const,
      at: ago(8.9),
      reasons: [
        { code: 'option_changed', section: 'backend search-api' },
        { code: 'proxy_added', section: 'backend cart-mail' },
      ],
      more: 0,
      tookMs: 230,
      reloadMs: 208,
      sinceChangeMs: 1904,
    },
    {
      kind: 'override_set' as const,
      at: ago(7),
      backend: 'orders-web',
      server: 'orders-web-2',
      state: 'drain',
      until: sceneNow + 23 * minute,
    },
    {
      kind: 'source_failed' as const,
      at: ago(6),
      watcher: 'consul',
      reason: 'connect ECONNREFUSED 127.0.0.1:8500',
      retryInMs: 900,
      hasAnswered: true,
    },
    {
      kind: 'large_loss' as const,
      at: ago(6.05),
      service: 'stock-feed',
      reason: 'shrunk',
      endpoints: 6,
      until: sceneNow + 4 * minute,
      remedy: 'myelin accept stock-feed',
    },
    {
      kind: 'reload' as const,
      at: ago(4),
      reasons: [{ code: 'bind_changed', section: 'frontend public' }],
      more: 0,
      tookMs: 225,
      reloadMs: 212,
      sinceChangeMs: null,
    },
    { kind: 'config_read' as const, at: ago(4.02), afterRestart: [], more: 0 },
  ];
}

export function sceneEvents(): readonly Event[] {
  return happenings()
    .toSorted((a, b) => a.at - b.at)
    .map((event, at) => ({ ...event, id: `scene-${at + 1}` }) as unknown as Event);
}

export const scenePlans: readonly AppliedPlan[] = [
  {
    at: sceneNow - 20_000,
    result: 'runtime',
    reasons: [],
    commands: 3,
    tookMs: 3,
    diff: [
      '@@ backend orders-web @@',
      '   server orders-web-1 10.4.9.11:8080 id 17 weight 100',
      '   server orders-web-2 10.4.9.12:8080 id 18 weight 0',
      '+  server orders-web-3 10.4.9.13:8080 id 19 weight 100',
      '  … 12 unchanged',
      '',
    ].join('\n'),
  },
  {
    at: sceneNow - 4 * minute,
    result: 'reload',
    reasons: [{ code: 'bind_changed', section: 'frontend public' }],
    commands: 0,
    tookMs: 225,
    diff: [
      '@@ frontend public @@',
      '-  bind *:443 ssl crt-list /var/lib/myelin/public.list',
      '+  bind *:443 ssl crt-list /var/lib/myelin/public.list alpn h2,http/1.1',
      '',
    ].join('\n'),
  },
  {
    at: sceneNow - 8.9 * minute,
    result: 'reload',
    reasons: [
      { code: 'option_changed', section: 'backend search-api' },
      { code: 'proxy_added', section: 'backend cart-mail' },
    ],
    commands: 0,
    tookMs: 230,
    diff: '@@ backend search-api @@\n-  timeout server 30s\n+  timeout server 10s\n',
  },
];

export const sceneRoutes: readonly RouteStatus[] = [
  ...['checkout-web', 'catalog-web', 'search-web', 'cart-api', 'orders-api'].map((service) => ({
    frontend: 'public',
    route: `shop.example.com/${service.split('-')[0]}`,
    service,
  })),
  { frontend: 'public', route: 'shop.example.com/img', service: 'catalog-web' },
  { frontend: 'public', route: 'pay.example.com', service: 'payments-gateway' },
  { frontend: 'public', route: 'blog.example.com', service: 'media-web' },
  { frontend: 'public', route: null, service: 'cart-web' },
];

export function sceneServers(service: string): readonly ServerStatus[] {
  return [1, 2, 3].map((at) => ({
    service,
    backend: service,
    server: `${service}-${at}`,
    address: `10.4.17.${22 + at}:8080`,
    source: 'ready',
    order: null,
    health: {
      condition: 'down',
      status: 'DOWN',
      since: sceneNow - (2 + at) * minute,
      check: { code: 'L7STS', words: 'Layer7 wrong status: 503 Service Unavailable' },
      weight: 100,
      sessions: 0,
      queued: 0,
      sessionsPerSec: 0,
      errors: 12 * at,
    },
  }));
}

export function sceneWhy(about: string): Why {
  const text = (at: number): string =>
    `HAProxy’s own check finds ${about}/${about}-${at} (10.4.17.${22 + at}:8080) down: L7STS, Layer7 wrong status: 503 Service Unavailable`;
  return {
    about,
    serves: false,
    steps: [
      {
        stage: 'haproxy',
        isLost: true,
        text: text(1),
        remedy: 'see that it answers the `check` of the service from this machine',
      },
      { stage: 'source', isLost: false, text: 'consul names 3 instances, 3 of which may get traffic', remedy: null },
      { stage: 'route', isLost: false, text: 'clients reach it at pay.example.com of public', remedy: null },
    ],
  };
}
