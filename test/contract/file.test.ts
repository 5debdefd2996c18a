/** The contract with real files. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { file } from '../../watchers/file/index.ts';
import { holdsTheContract, type Subject, watchOf } from '../../watchers/public/contract.ts';
import { tempFolder } from '../support/index.ts';

async function makeSubject(): Promise<Subject> {
  const folder = await tempFolder();
  const path = join(folder.path, 'services.yaml');
  const services: Record<string, readonly string[]> = {};
  const write = async (content: unknown): Promise<void> => {
    await writeFile(`${path}.new`, JSON.stringify(content));
    await rename(`${path}.new`, path);
  };
  await write({ services });
  return {
    watch: await watchOf(file, { path }),
    settings: (service) => ({ service }),
    async put(service, addresses) {
      services[service] = addresses;
      await write({ services });
    },
    fail: () => rename(path, `${path}.away`),
    mend: () => rename(`${path}.away`, path),
    async flicker(service) {
      await write({ services: { ...services, [service]: [] } });
      await write({ services });
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

holdsTheContract('a file', makeSubject, { failsBy: 'staleness' });
