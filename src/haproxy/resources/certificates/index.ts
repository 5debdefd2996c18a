/** Certificates of shared frontends, and the lists of those that each frontend has. */
import { basename } from 'node:path';
import type { CertificateCommand, CrtListCommand } from '../../../model.ts';
import { partsOfKind } from '../parts.ts';
import { type Resource, rankOf } from '../resource.ts';
import { classifyCertificate, classifyCrtList, sayCertificate, sayCrtList } from './commands.ts';
import { isCertificate, isCrtList } from './entries.ts';
import { planCertificates, planCrtLists } from './plan.ts';
import {
  findCertificateDrift,
  findCrtListDrift,
  ownerOf,
  readCertificates,
  readCrtLists,
  type SeenCertificate,
  type SeenCrtList,
} from './read-back.ts';

export const certificates: Resource<CertificateCommand, SeenCertificate> = {
  kind: 'certificate',
  isForNewClients: true,
  plan: planCertificates,
  withinStructure: (old, now) => (isCertificate(old) && isCertificate(now) ? now : old),
  afterStart: () => [],
  say: sayCertificate,
  classify: classifyCertificate,
  learn: (capabilities, _command, reply) =>
    /^(Unknown command|Permission denied)/m.test(reply) ? { ...capabilities, maxPayloadBytes: 0 } : capabilities,
  ranks: (commands) =>
    commands.map(({ action }) => (action === 'delete' ? rankOf.certificatesGo : rankOf.certificatesCome)),
  needs: () => [],
  owner: ({ certificate }) => ownerOf('certificate', certificate),
  identity: ({ certificate }) => certificate,
  describe: ({ action, certificate }) => `${action} ${basename(certificate)}`,
  isLate: () => false,
  parts: (running, among) => partsOfKind('certificate', running, among),
  observe: (ask, owners, _of, frame) => readCertificates(ask, owners, frame),
  drift: findCertificateDrift,
};

export const crtLists: Resource<CrtListCommand, SeenCrtList> = {
  kind: 'crt-list',
  isForNewClients: true,
  plan: planCrtLists,
  withinStructure: (old, now) => (isCrtList(old) && isCrtList(now) ? now : old),
  afterStart: () => [],
  say: sayCrtList,
  classify: classifyCrtList,
  learn: (capabilities) => capabilities,
  ranks: (commands) =>
    commands.map(({ action }) => (action === 'delete' ? rankOf.certificatesUnlisted : rankOf.certificatesListed)),
  needs: ({ action, certificate }) => (action === 'delete' ? [] : [ownerOf('certificate', certificate)]),
  owner: ({ list }) => ownerOf('crt-list', list),
  identity: ({ list, certificate }) => `${list} ${certificate}`,
  describe: ({ action, certificate }) => `${action} ${basename(certificate)}`,
  isLate: () => false,
  parts: (running, among) => partsOfKind('crt-list', running, among),
  observe: (ask, owners, _of, frame) => readCrtLists(ask, owners, frame),
  drift: findCrtListDrift,
};
