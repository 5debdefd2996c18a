/** The services as rows: what HAProxy says beside what the sources say, the worst first. */
import { isEmpty } from '../../../report/state.ts';
import type { ServiceStatus } from '../../../report/status.ts';
import { count, type Tone } from './words.ts';

/** Judged at once; what is said of it in words only where it is looked at: of thousands few are in sight. */
export type ServiceRow = {
  readonly service: ServiceStatus;
  readonly name: string;
  readonly tone: Tone;
  /** In one word. */
  readonly state: string;
};

type Judged = { readonly rank: number; readonly tone: Tone; readonly state: string };

const judgements = {
  down: { rank: 0, tone: 'bad', state: 'down' },
  quarantined: { rank: 1, tone: 'warn', state: 'quarantined' },
  partly: { rank: 2, tone: 'warn', state: 'partly down' },
  empty: { rank: 3, tone: 'warn', state: 'empty' },
  stale: { rank: 4, tone: 'warn', state: 'stale' },
  kept: { rank: 5, tone: 'warn', state: 'retained' },
  refused: { rank: 6, tone: 'warn', state: 'refused' },
  waiting: { rank: 7, tone: 'note', state: 'waiting' },
  vacant: { rank: 8, tone: 'note', state: 'no endpoint' },
  up: { rank: 9, tone: 'good', state: 'up' },
} as const satisfies Readonly<Record<string, Judged>>;

export function judge(service: ServiceStatus): keyof typeof judgements {
  const { endpoints, quarantined, stale, health, lacksEndpoints } = service;
  if (health?.isDown && !isEmpty(service)) return 'down';
  if (quarantined !== null) return 'quarantined';
  if (health !== null && health.servers.down > 0) return 'partly';
  if (lacksEndpoints) return 'empty';
  // Not known yet, or scaled to nothing where that is accepted.
  if (isEmpty(service)) return service.unanswered.length > 0 ? 'waiting' : 'vacant';
  if (stale !== null) return 'stale';
  if (endpoints.kept > 0) return 'kept';
  if (endpoints.refused > 0) return 'refused';
  return 'up';
}

/** The worst first, and then by name. */
export function rowsOf(services: readonly ServiceStatus[]): readonly ServiceRow[] {
  return services
    .map((service) => ({ service, judged: judgements[judge(service)] }))
    .sort((a, b) => a.judged.rank - b.judged.rank || (a.service.name < b.service.name ? -1 : 1))
    .map(({ service, judged: { tone, state } }) => ({ service, name: service.name, tone, state }));
}

/** Each word of `query` has to be found somewhere in the row: in its name, or in what is said of it. */
export function filtered(rows: readonly ServiceRow[], query: string): readonly ServiceRow[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter(({ service, name, state }) => {
    const short = `${name.toLowerCase()} ${state}`;
    const missing = words.filter((word) => !short.includes(word));
    if (missing.length === 0) return true;
    const long = `${haproxySays(service)} ${sourcesSay(service)}`;
    return missing.every((word) => long.includes(word));
  });
}

export function haproxySays({ health }: ServiceStatus): string {
  return health === null ? 'not asked' : counted(health.servers, 'no server');
}

export function sourcesSay({ endpoints }: ServiceStatus): string {
  return counted(endpoints, 'no endpoint');
}

function counted(counts: Readonly<Record<string, number>>, none: string): string {
  let said = '';
  for (const state in counts) {
    const many = counts[state] ?? 0;
    if (many > 0) said += `${said === '' ? '' : ', '}${many} ${state}`;
  }
  return said === '' ? none : said;
}

/** `2 of 2,000 services are down` */
export function downServices(services: readonly ServiceStatus[]): string | null {
  const down = services.filter((service) => judge(service) === 'down');
  const [first] = down;
  if (first === undefined) return null;
  if (down.length === 1) return `HAProxy has no server up for ${first.name}`;
  return `HAProxy has no server up for ${down.length} of ${count(services.length, 'service')}`;
}
