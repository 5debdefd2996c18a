/** Entries of maps: what a shared frontend routes by. */
import type { MapCommand } from '../../../model.ts';
import { partsOfKind } from '../parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { ownerOf as ownerOfBackend } from '../servers/read-back.ts';
import { classify, identity, say } from './commands.ts';
import { backendOf, beforeReload, isMap, planMaps } from './plan.ts';
import { findDrift, mapOf, ownerOf, readMaps, type SeenMap } from './read-back.ts';

export const maps: Resource<MapCommand, SeenMap> = {
  kind: 'map',
  plan: planMaps,
  withinStructure: (old, now, rest) => (isMap(old) && isMap(now) ? beforeReload(old, now, rest) : old),
  afterStart: () => [],
  say,
  classify,
  learn: (capabilities) => capabilities,
  ranks: (commands) => commands.map(({ action }) => (action === 'delete' ? rankOf.routesGo : rankOf.routesCome)),
  needs: (command) => (command.action === 'delete' ? [] : [ownerOfBackend(backendOf(command.value))]),
  owner: ({ map }) => ownerOf(map),
  identity,
  describe: ({ action, key }) => `${action} ${key}`,
  isLate: () => false,
  parts: (running, among) => partsOfKind('map', running, among),
  observe: (ask, owners, _of, frame) => readMaps(ask, owners.map(mapOf), frame),
  drift: findDrift,
};
