/** Entries of maps: what a shared frontend routes by. */
import type { MapCommand } from '../../../model.ts';
import { partsOfKind } from '../parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { ownerOf as ownerOfBackend } from '../servers/read-back.ts';
import { classify, identity, say } from './commands.ts';
import { entriesIn } from './entries.ts';
import { backendOf, beforeReload, isMap, planMaps } from './plan.ts';
import { findDrift, observeMaps, ownerOf, type SeenMap } from './read-back.ts';
import { replaceAll } from './version.ts';

export const maps: Resource<MapCommand, SeenMap> = {
  kind: 'map',
  isForNewClients: false,
  plan: planMaps,
  withinStructure: (old, now, rest) => (isMap(old) && isMap(now) ? beforeReload(old, now, rest) : old),
  afterStart: () => [],
  say,
  classify,
  converse: (command, send, { maxPayloadBytes }) =>
    command.action === 'version' ? replaceAll(send, command, maxPayloadBytes) : null,
  learn: (capabilities) => capabilities,
  ranks: (commands) => commands.map(({ action }) => (action === 'delete' ? rankOf.routesGo : rankOf.routesCome)),
  needs: (command) => [...new Set(valuesOf(command).map(backendOf))].map(ownerOfBackend),
  owner: ({ map }) => ownerOf(map),
  identity,
  describe: (command) => (command.action === 'version' ? 'all entries' : `${command.action} ${command.key}`),
  isLate: () => false,
  parts: (running, among) => partsOfKind('map', running, among),
  observe: observeMaps,
  drift: findDrift,
};

/** What entries lead to after the command. */
function valuesOf(command: MapCommand): readonly string[] {
  if (command.action === 'version') return [...entriesIn(command.text)].map(({ value }) => value);
  return command.action === 'delete' ? [] : [command.value];
}
