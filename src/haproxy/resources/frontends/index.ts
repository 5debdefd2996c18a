/** Frontends: of services that go, and where somebody has disabled one. None comes while HAProxy runs. */
import type { FrontendCommand } from '../../../model.ts';
import { mayBeAmong } from '../parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { classify, say } from './commands.ts';
import { ownerOf, partsOf } from './parts.ts';
import { enabledBeforeReload, isSucceeded, planFrontends } from './plan.ts';
import { findDrift, readFrontends, type SeenFrontend } from './read-back.ts';

export const frontends: Resource<FrontendCommand, SeenFrontend> = {
  kind: 'frontend',
  isForNewClients: false,
  plan: planFrontends,
  withinStructure: enabledBeforeReload,
  staysUntilReload: isSucceeded,
  afterStart: () => [],
  say,
  classify,
  learn: (capabilities, _command, reply) =>
    /^(Unknown command|Permission denied)/m.test(reply) ? { ...capabilities, frontends: false } : capabilities,
  ranks: (commands) =>
    commands.map(({ action }) => (action === 'remove' ? rankOf.frontendsGo : rankOf.frontendsEnabled)),
  needs: () => [],
  owner: ({ frontend }) => ownerOf(frontend),
  identity: ({ frontend }) => frontend,
  describe: ({ action, frontend }) => `${action} ${frontend}`,
  isLate: () => false,
  isReadTogether: true,
  parts: (running, among) => (mayBeAmong('frontend', among) ? partsOf(running) : new Map()),
  observe: (ask, owners, { running }, frame) => readFrontends(ask, owners, partsOf(running).size, frame),
  drift: findDrift,
};
