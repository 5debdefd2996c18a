/** Random pairs of configs: what runs and what is wanted. Nearly all are such that HAProxy would start from the first one. */
import fc from 'fast-check';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { settleServers } from '../../../src/render/settle.ts';

/** A server of a service; what its own line asks for goes by its name, so that most servers keep their options. */
const own: Readonly<Record<string, string>> = {
  d: ' maxqueue 5',
  e: ' no-check',
  f: ' maxqueue 5',
  g: ' ssl verify none',
  y: ' backup',
  z: ' backup',
};
const servers = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'x', 'y', 'z'),
      place: fc.constantFrom('127.0.0.1:80', '127.0.0.2:80', '[::1]:80', '127.0.0.1:81'),
      weight: fc.constantFrom(0, 1, 1, 5),
      limit: fc.constantFrom('', '', ' maxconn 5', ' maxconn 9'),
      odd: fc.constantFrom(...Array<string>(30).fill(''), ' backup', ' disabled', ' mystery', ' minconn 5'),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  )
  .map((list) =>
    list.map(
      ({ name, place, weight, limit, odd }) =>
        `server ${name} ${place} weight ${weight}${limit}${own[name] ?? ''}${odd}`,
    ),
  );

const balance = fc.constantFrom(
  [],
  ['balance leastconn'],
  ['balance first'],
  ['balance static-rr'],
  ['balance uri', 'hash-type consistent'],
  ['balance source'],
  ['option allbackups'],
);
/** What an administrator may write into a backend, own servers included. */
const raw = fc.array(
  fc.constantFrom(
    'http-request allow if { path_beg /public }',
    'http-request deny if { path_end .secret }',
    '# a remark',
    '.if 0\nhttp-request deny\n.endif',
    '.if 1\ndefault-server inter 3s\n.endif',
    '.if 0\nserver a 127.0.0.9:80\n.endif',
    'default-server check inter 3s',
    'default-server check send-proxy resolvers x',
    'default-server maxconn 7',
    'use-server a if { path /special }',
    'server own 127.9.0.1:80 backup',
    'server own 127.9.0.2:80',
    'server tracking 127.9.0.3:80 track hand/h',
  ),
  { maxLength: 3 },
);
const backend = fc.record({
  from: fc.constantFrom('', '', ' from named'),
  balance,
  raw,
  servers,
  isBehind: fc.constantFrom(false, false, false, true),
});
type Backend = typeof backend extends fc.Arbitrary<infer T> ? T : never;

/** Most changes are of servers alone; some swap or double a line, some change everything. */
const pair = fc.tuple(
  backend,
  backend,
  fc.constantFrom('nothing', 'servers', 'servers', 'servers', 'swapped', 'doubled', 'everything'),
);
function after([before, other, what]: typeof pair extends fc.Arbitrary<infer T> ? T : never): Backend {
  switch (what) {
    case 'nothing':
      return { ...before, raw: [...before.raw, '# a remark'], servers: before.servers.toReversed() };
    case 'servers':
      return { ...before, servers: other.servers };
    case 'swapped':
      return { ...before, raw: before.raw.toReversed(), servers: other.servers };
    case 'doubled':
      return { ...before, raw: [...before.raw, ...before.raw.slice(0, 1)], servers: other.servers };
    case 'everything':
      return other;
  }
}

const elsewhere = fc.constantFrom('', '', '', 'http-request deny if { srv_conn(s0/b) gt 5 }');
const hand = fc.constantFrom('h 127.9.9.9:80 check', 'h 127.9.9.9:80 check', 'h 127.9.9.9:80 track s0/c');
const defaults = fc.constantFrom('default-server fall 9 check', 'default-server fall 9');

const shared = ['mode http', 'timeout connect 1s', 'timeout client 1s', 'timeout server 1s', 'default-server inter 1h'];

type Around = { readonly elsewhere: string; readonly hand: string; readonly defaults: string };

function file({ elsewhere, hand, defaults }: Around, backends: readonly Backend[]): readonly Section[] {
  const lines = backends.flatMap(({ from, balance, raw, servers, isBehind }, at) => [
    `backend s${at}${from}`,
    ...balance,
    ...(isBehind ? [...servers, ...raw] : [...raw, ...servers]),
  ]);
  const text = ['defaults named', ...shared, 'default-server rise 4', 'defaults', ...shared, defaults];
  text.push('frontend in', elsewhere, ...lines);
  text.push('backend hand', `server ${hand}`);
  const sections = splitSections(`${text.join('\n')}\n`);
  return sections.map((section) => {
    if (!/^s\d$/.test(section.name)) return section;
    return {
      ...section,
      service: section.name,
      text: settleServers(section.text, { draining: new Set(), defaults: [] }),
    };
  });
}

const around = fc.record({ elsewhere, hand, defaults });
export type Pair = { readonly running: readonly Section[]; readonly wanted: readonly Section[] };

export const files: fc.Arbitrary<Pair> = fc
  .tuple(fc.array(pair, { minLength: 1, maxLength: 2 }), around, around, fc.constantFrom(true, true, true, false))
  .map(([pairs, one, two, isSame]) => ({
    running: file(
      one,
      pairs.map(([before]) => before),
    ),
    wanted: file(isSame ? one : two, pairs.map(after)),
  }));
