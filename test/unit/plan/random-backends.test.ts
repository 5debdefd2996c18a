/**
 * Backends that come and go with their routes on HAProxy 3.4, at random: after the commands all is as desired, no command leaves a
 * route that leads to nobody, and where the commands break off, the next plan repairs what is there, or is a reload.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { resources } from '../../../src/haproxy/resources/index.ts';
import { seenMap } from '../../../src/haproxy/resources/maps/read-back.ts';
import type { Owner, Reaper, Seen } from '../../../src/haproxy/resources/resource.ts';
import { seenServers } from '../../../src/haproxy/resources/servers/read-back.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Leaving, Rendered, RuntimeCommand, Section } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { version } from '../../support/values/render.ts';

const map = '/routes.map';
const capabilities = capabilitiesOf(version('3.4.7'));

/** The servers of each service; how it balances goes by its name. */
type Wanted = Readonly<Record<string, readonly string[]>>;

const balances: Readonly<Record<string, string>> = { c: 'leastconn', d: 'random' };

const wanted: fc.Arbitrary<Wanted> = fc.dictionary(
  fc.constantFrom('a', 'a', 'b', 'b', 'c', 'c', 'd'),
  fc.uniqueArray(fc.constantFrom('x 10.0.0.1:80', 'y 10.0.0.2:80', 'x 10.0.0.3:80'), {
    selector: (text) => text[0],
    minLength: 1,
  }),
  { maxKeys: 3 },
);

function file(services: Wanted): Rendered {
  const own = Object.entries(services).flatMap(([name, servers]) => {
    const lines = [
      `balance ${balances[name] ?? 'roundrobin'}`,
      ...servers.map((server) => `server ${server} weight 1`),
    ];
    const text = `backend ${name}\n${lines.map((line) => `    ${line}\n`).join('')}`;
    return splitSections(text, name).map((section): Section => ({ ...section, sharesOptions: true }));
  });
  const text = Object.keys(services).map((name) => `${name}/ ${name}\n`);
  const routes: Section = { kind: 'map', name: map, text: text.join(''), service: null };
  return { sections: [...splitSections('defaults\n    mode http\n'), ...own, routes] };
}

type ModelServer = { at: string; isOut: boolean };
type ModelBackend = { isPublished: boolean; readonly servers: Map<string, ModelServer> };

/** What HAProxy makes of the commands; throws where it refuses one. */
class Model {
  readonly backends = new Map<string, ModelBackend>();
  readonly routes = new Map<string, string>();

  constructor(services: Wanted) {
    for (const [name, servers] of Object.entries(services)) {
      const own = servers.map((text) => text.split(' ') as [string, string]);
      const all = own.map(([server, at]): [string, ModelServer] => [server, { at, isOut: false }]);
      this.backends.set(name, { isPublished: true, servers: new Map(all) });
      this.routes.set(`${name}/`, name);
    }
  }

  run(command: RuntimeCommand): void {
    if (command.kind === 'map') {
      if (command.action === 'version') throw new Error('there are too few entries');
      if (command.action === 'delete') this.routes.delete(command.key);
      else this.routes.set(command.key, command.value);
      return;
    }
    if (command.kind !== 'backend' && command.kind !== 'server') throw new Error(`${command.kind} is not modelled`);
    const backend = this.backends.get(command.backend);
    if (command.kind === 'backend' && command.action === 'add') {
      if (backend !== undefined) throw new Error('name is already used');
      this.backends.set(command.backend, { isPublished: false, servers: new Map() });
      return;
    }
    if (backend === undefined) throw new Error('No such backend.');
    if (command.kind === 'backend') backend.isPublished = command.action === 'publish';
    else this.#runServer(command, backend);
  }

  #runServer(command: Extract<RuntimeCommand, { readonly kind: 'server' }>, { servers }: ModelBackend): void {
    const server = servers.get(command.server);
    if (command.action === 'add') {
      if (server !== undefined) throw new Error('Already exists a server with the same name');
      servers.set(command.server, { at: `${command.address}:${command.port}`, isOut: true });
      return;
    }
    if (server === undefined) throw new Error('No such server.');
    if (command.action === 're-address') server.at = `${command.address}:${command.port}`;
    if (command.action === 'ready') server.isOut = false;
    if (command.action === 'remove' || command.action === 'maint') server.isOut = true;
  }

  /** Who answers, by route; nobody: 503. */
  answers(): Readonly<Record<string, readonly string[]>> {
    const of = (name: string): readonly string[] => {
      const { isPublished = false, servers = new Map<string, ModelServer>() } = this.backends.get(name) ?? {};
      return isPublished ? [...servers.values()].flatMap(({ at, isOut }) => (isOut ? [] : [at])).sort() : [];
    };
    return Object.fromEntries([...this.routes].sort().map(([key, name]) => [key, of(name)]));
  }

  /** What reading back says of everything that is thought to run, by resource. */
  seen(): ReadonlyMap<string, (owner: Owner) => Seen> {
    const its = (owner: Owner) => this.backends.get(owner.slice('backend '.length));
    return new Map<string, (owner: Owner) => Seen>([
      ['backend', (owner) => ({ said: saidOf(its(owner)) })],
      ['server', (owner) => seenServers([...(its(owner)?.servers ?? [])].map(rowOf))],
      ['map', () => seenMap([...this.routes].map(([key, value]) => ({ key, value })))],
    ]);
  }
}

function saidOf(backend: ModelBackend | undefined): 'missing' | 'published' | 'unpublished' {
  if (backend === undefined) return 'missing';
  return backend.isPublished ? 'published' : 'unpublished';
}

function rowOf([name, { at, isOut }]: [string, ModelServer]) {
  const [srv_addr = '', srv_port = ''] = at.split(':');
  const state = { srv_uweight: '1', srv_iweight: '1', srv_admin_state: isOut ? '1' : '0', srv_fqdn: '-' };
  return { srv_name: name, srv_addr, srv_port, ...state };
}

/** As they are sent: rank by rank. */
function inOrder(commands: readonly RuntimeCommand[]): readonly RuntimeCommand[] {
  const ranked = resources.flatMap((resource) => {
    const its = commands.filter(({ kind }) => kind === resource.kind);
    const ranks = resource.ranks(its);
    return its.map((command, at) => ({ command, rank: ranks[at] ?? 0 }));
  });
  return ranked.toSorted((a, b) => a.rank - b.rank).map(({ command }) => command);
}

function leavingOf(reapers: readonly Reaper[]): readonly Leaving[] {
  return reapers.flatMap(({ list }) => list);
}

/** What runs, as far as it was read back. */
function readBack(model: Model, thought: Rendered, reapers: readonly Reaper[]): Rendered {
  let running = thought;
  for (const resource of resources) {
    const says = model.seen().get(resource.kind);
    if (says === undefined) continue;
    const seen = new Map([...resource.parts(running).keys()].map((owner) => [owner, says(owner)]));
    const found = resource.drift(running, seen, { leaving: leavingOf(reapers), unsettled: new Set() });
    running = found.running;
    for (const each of [...found.leaving.values()].flat()) for (const reaper of reapers) reaper.found(each);
  }
  return running;
}

test('backends and routes that change at random on HAProxy 3.4 end as desired, no route leads to nobody on the way, and what breaks off is repaired or reloaded', (t) => {
  const counts = { runtime: 0, repaired: 0, refused: 0, reload: 0 };
  const cut = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(wanted, wanted, wanted, cut, fc.boolean(), (first, second, third, share, isAnswered) => {
      // Most option sets were there at the start.
      const started = file({ ...first, a: ['x 10.0.0.9:80'], c: ['x 10.0.0.9:80'] }).sections;
      const reapers = resources.flatMap((resource) => resource.createReaper?.(() => 0) ?? []);
      const model = new Model(first);
      const step = (running: Rendered, services: Wanted, upTo = 1): boolean | null => {
        const leaving = leavingOf(reapers);
        const plan = planChange(running, file(services), { capabilities, leaving, started });
        if (plan.kind === 'reload') return null;
        const commands = plan.kind === 'runtime' ? inOrder(plan.commands) : [];
        const sent = commands.slice(0, Math.round(upTo * commands.length));
        // Of the last command sent the answer may be lost.
        const lost = isAnswered || upTo === 1 ? undefined : sent.at(-1);
        for (const command of sent) {
          model.run(command);
          if (command !== lost) for (const reaper of reapers) reaper.note(command, { kind: 'done' }, capabilities);
          for (const [key, servers] of Object.entries(model.answers()))
            assert.ok(servers.length > 0, `${key} leads to nobody after ${JSON.stringify(command)}`);
        }
        return sent.length === commands.length && lost === undefined;
      };
      const isRight = (services: Wanted): void => assert.deepEqual(model.answers(), new Model(services).answers());

      const isWhole = step(file(first), second, share);
      if (isWhole === null) return void counts.reload++;
      if (isWhole) isRight(second);
      counts.runtime += 1;
      // Another change follows; what is thought to run is what ran before, where not all was sent.
      const running = readBack(model, isWhole ? file(second) : file(first), reapers);
      try {
        if (step(running, third) === null) return void counts.reload++;
      } catch (error) {
        // A backend or a server that nobody knows of: HAProxy refuses it, and a reload follows.
        if (!(error instanceof Error) || !/already/i.test(error.message)) throw error;
        assert.ok(!isWhole, 'of what was answered everything is known');
        return void counts.refused++;
      }
      isRight(third);
      counts.repaired += 1;
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 300) },
  );
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.runtime > 100 && counts.repaired > 50, JSON.stringify(counts));
});
