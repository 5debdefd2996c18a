/** Servers, of backends that were rendered for a service. */
import type { Rendered, ServerCommand } from '../../../model.ts';
import { learn } from '../../binary/capabilities.ts';
import type { Owner, Resource } from '../resource.ts';
import { classify, identity, say } from './commands.ts';
import { findDrift } from './drift.ts';
import { partsOf } from './parts.ts';
import { ranks } from './plan/order.ts';
import { planServers, silencedAgents } from './plan/planner.ts';
import { withServersOf } from './plan/section.ts';
import { backendOf, ownerOf, readBackends, type SeenServers } from './read-back.ts';
import { RemovedServers } from './removed-servers.ts';

export const servers: Resource<ServerCommand, SeenServers> = {
  kind: 'server',
  isForNewClients: false,
  plan: planServers,
  withinStructure: withServersOf,
  afterStart: silencedAgents,
  say,
  classify,
  learn: (capabilities, { action }, reply) =>
    action === 'add' || action === 'delete' ? learn(capabilities, action, reply) : capabilities,
  ranks,
  needs: ({ backend }) => [ownerOf(backend)],
  owner: ({ backend }) => ownerOf(backend),
  identity,
  describe: ({ action, server }) => `${action} ${server}`,
  // From HAProxy 2.9 on a new address takes effect a moment after the reply.
  isLate: ({ action }) => action === 're-address',
  parts: partsOf,
  observe: (ask, owners, { running }, frame) =>
    readBackends(ask, owners.map(backendOf), withLimits(owners, running), frame),
  drift: findDrift,
  createReaper: (now) => new RemovedServers(now),
};

/** Backends with servers that have a limit of their own. */
function withLimits(owners: readonly Owner[], running: Rendered): ReadonlySet<string> {
  const its = partsOf(running, owners);
  return new Set(owners.filter((owner) => its.get(owner)?.text.includes('maxconn')).map(backendOf));
}
