/** CA certificates by which clients are verified, and servers. */
import { basename } from 'node:path';
import type { CaFileCommand } from '../../../model.ts';
import { mayBeAmong } from '../parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { classify, say } from './commands.ts';
import { isCaFile, planCaFiles } from './plan.ts';
import { findCaFileDrift, ownerOf, partsOf, readCaFiles, type SeenCaFile } from './read-back.ts';

export const caFiles: Resource<CaFileCommand, SeenCaFile> = {
  kind: 'ca-file',
  isForNewClients: true,
  plan: planCaFiles,
  withinStructure: (old, now) => (isCaFile(old) && isCaFile(now) ? now : old),
  afterStart: () => [],
  say,
  classify,
  learn: (capabilities, _command, reply) =>
    /^(Unknown command|Permission denied)/m.test(reply) ? { ...capabilities, caFiles: false } : capabilities,
  ranks: (commands) => commands.map(() => rankOf.certificatesCome),
  needs: () => [],
  owner: ({ caFile }) => ownerOf(caFile),
  identity: ({ caFile }) => caFile,
  describe: ({ action, caFile }) => `${action} ${basename(caFile)}`,
  isLate: () => false,
  parts: (running, among) => (mayBeAmong('ca-file', among) ? partsOf(running) : new Map()),
  observe: async (ask, owners, { capabilities }, frame) =>
    capabilities.caFiles ? readCaFiles(ask, owners, frame) : { from: [], seen: new Map() },
  drift: findCaFileDrift,
};
