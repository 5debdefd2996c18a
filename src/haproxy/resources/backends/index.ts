/** Whole backends, of services that come and go. */
import type { BackendCommand } from '../../../model.ts';
import { ownerOf as ownerOfFrontend } from '../frontends/parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { partsOf } from '../servers/parts.ts';
import { ownerOf } from '../servers/read-back.ts';
import { classify, say } from './commands.ts';
import { planBackends } from './plan.ts';
import { findDrift, readPublished, type SeenBackend } from './read-back.ts';
import { RemovedBackends } from './removed-backends.ts';

export const backends: Resource<BackendCommand, SeenBackend> = {
  kind: 'backend',
  isForNewClients: false,
  plan: planBackends,
  withinStructure: (old) => old,
  afterStart: () => [],
  say,
  classify,
  learn: (capabilities, _command, reply) =>
    /^(Unknown command|Permission denied)/m.test(reply) ? { ...capabilities, backends: false } : capabilities,
  ranks: (commands) => commands.map(({ action }) => ranks[action]),
  needs: (command) => [
    ownerOf(command.backend),
    ...(command.action === 'retire' ? command.frontends.map(ownerOfFrontend) : []),
  ],
  owner: ({ backend }) => ownerOf(backend),
  identity: ({ backend }) => backend,
  describe: ({ action, backend }) => `${action} ${backend}`,
  isLate: () => false,
  isReadTogether: true,
  parts: partsOf,
  observe: async (ask, owners, { running, capabilities }, frame) =>
    capabilities.backends ? readPublished(ask, owners, running.sections.length, frame) : { from: [], seen: new Map() },
  drift: findDrift,
  createReaper: (now) => new RemovedBackends(now),
};

const ranks = {
  add: rankOf.backendsCome,
  publish: rankOf.backendsPublished,
  unpublish: rankOf.backendsUnpublished,
  retire: rankOf.backendsUnpublished,
  delete: rankOf.backendsGo,
} as const;
