/** Certificates and CA certificates as files beside the config, and for each shared frontend the list of its own. */
import { caFilesOf } from '../config/ca-files.ts';
import { certificateFile, certificateList } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Section } from '../model.ts';

export type ServedCertificate = { readonly name: string; readonly pem: string };

export class CertificateFiles {
  #sections: readonly Section[] = [];

  /** Sections with the same text stay the same objects. */
  render(
    config: Config,
    served: ReadonlyMap<string, readonly ServedCertificate[]>,
    caFiles: ReadonlyMap<string, string>,
  ): readonly Section[] {
    const before = new Map(this.#sections.map((section) => [section.name, section]));
    const file = (kind: 'certificate' | 'crt-list' | 'ca-file', name: string, text: string): Section => {
      const old = before.get(name);
      return old?.kind === kind && old.text === text ? old : { kind, name, text, service: null };
    };
    const ofFrontends = Object.keys(config.frontends).flatMap((frontend) => {
      const its = served.get(frontend);
      if (its === undefined || its.length === 0) return [];
      const files = its.map(({ name, pem }) => file('certificate', certificateFile(config, frontend, name), pem));
      // HAProxy uses the first one for a client whose name matches none.
      const list = files.map(({ name }) => `${name}\n`).join('');
      return [...files, file('crt-list', certificateList(config, frontend), list)];
    });
    const authorities = caFilesOf(config).flatMap(({ copy }) => {
      const text = caFiles.get(copy);
      return text === undefined ? [] : [file('ca-file', copy, text)];
    });
    this.#sections = [...ofFrontends, ...authorities];
    return this.#sections;
  }
}
