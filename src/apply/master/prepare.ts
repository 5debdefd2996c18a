/** Where no HAProxy serves under a master yet: writes the file that one will be started from. */
import { AppError } from '../../errors.ts';
import type { Binary } from '../../haproxy/binary/binary.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { layoutOf } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import type { Section } from '../../model.ts';
import type { DriverOptions, Outcome } from '../driver.ts';
import type { Generation } from '../state/generation.ts';
import { removeReady, writeFirst, writeSections } from '../state/records.ts';
import { checkHere } from './reload.ts';

type Preparation = {
  readonly sections: readonly Section[];
  /** Why no master can be told to reload. */
  readonly absent: AppError;
  /** The master's. */
  readonly socket: string;
  readonly file: ConfigFile;
  readonly record: Generation;
  /** HAProxy's executable on this machine, if there is one. */
  readonly binary: Binary | null;
  /** Of the HAProxy that served last; null where that is not known. */
  readonly version: Version | null;
  readonly config: DriverOptions['config'];
  readonly signal: AbortSignal;
};

/** HAProxy may only be able to start from the present file, so only a checked file replaces it. */
export async function prepareForMaster(preparation: Preparation): Promise<Outcome> {
  const { sections, absent, socket, file, record, binary, version } = preparation;
  const { text, files } = layoutOf(sections);
  const before = await file.read();
  let isThere = before === text;
  if (!isThere) {
    await file.propose(text, files);
    const { isChecked, problems } = await checkHere(binary, version, preparation);
    if (problems.length > 0) {
      await file.reject();
      return { kind: 'refused', problems };
    }
    isThere = isChecked || before === null;
    if (isThere) {
      await removeReady(record);
      await writeSections(record, sections);
      await file.accept();
      await file.commit();
      if (before === null) await writeFirst(record, await file.stamp());
    } else await file.discard();
  } else await file.write(text, files);
  const what = isThere ? `${file.path} is written for it` : `${file.path} stays as it was, for nothing here can check`;
  const error = new AppError('MYELIN_HAPROXY_UNAVAILABLE', `no HAProxy serves yet: ${absent.message}; ${what}`, {
    cause: absent,
    remedy: `start it with \`haproxy -W -S ${socket} -f ${file.path}\`; Myelin waits for it`,
  });
  return { kind: 'failed', error, problems: [] };
}
