/** The contract with real files. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { file } from '../../watchers/file/index.ts';
import {
  type DiscoverySubject,
  discoversByTheContract,
  holdsTheContract,
  type Subject,
  watchOf,
} from '../../watchers/public/contract.ts';
import { tempFolder } from '../support/index.ts';
import { servesWithinLimits } from '../support/within-limits.ts';

type FileOfServices = AsyncDisposable & {
  readonly path: string;
  write(services: Readonly<Record<string, unknown>>): Promise<void>;
  fail(): Promise<void>;
  mend(): Promise<void>;
};

async function fileOfServices(): Promise<FileOfServices> {
  const folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  const write = async (services: Readonly<Record<string, unknown>>): Promise<void> => {
    await writeFile(`${path}.new`, JSON.stringify({ services }));
    await rename(`${path}.new`, path);
  };
  await write({});
  return {
    path,
    write,
    fail: () => rename(path, `${path}.away`),
    mend: () => rename(`${path}.away`, path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function makeSubject(): Promise<Subject> {
  const its = await fileOfServices();
  const services: Record<string, readonly string[]> = {};
  return {
    ...its,
    watch: await watchOf(file, { path: its.path }),
    settings: (service) => ({ service }),
    async put(service, addresses) {
      services[service] = addresses;
      await its.write(services);
    },
    async flicker(service) {
      await its.write({ ...services, [service]: [] });
      await its.write(services);
    },
    [Symbol.asyncDispose]: () => its[Symbol.asyncDispose](),
  };
}

async function makeDiscoverySubject(): Promise<DiscoverySubject> {
  const its = await fileOfServices();
  const services: Record<string, unknown> = { hidden: ['127.0.0.1:9009'] };
  return {
    ...its,
    watch: await watchOf(file, { path: its.path }),
    query: { isForAll: true },
    nameOf: (service) => service,
    async offer(service, options, endpoints) {
      services[service] = { options, endpoints };
      await its.write(services);
    },
    async withdraw(service) {
      services[service] = ['127.0.0.1:9001'];
      await its.write(services);
    },
    [Symbol.asyncDispose]: () => its[Symbol.asyncDispose](),
  };
}

holdsTheContract('a file', makeSubject, { failsBy: 'staleness' });
discoversByTheContract('a file', makeDiscoverySubject, { failsBy: 'staleness' });
servesWithinLimits('a file', makeDiscoverySubject, { watcher: '{ type: file, path: x.yaml }' });
