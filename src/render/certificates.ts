/** The certificates of the shared frontends as files beside the config, and for each frontend the list of them. */
import { certificateFile, certificateList } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Section } from '../model.ts';

export type ServedCertificate = { readonly name: string; readonly pem: string };

export class CertificateFiles {
  #sections: readonly Section[] = [];

  /** Sections with the same text stay the same objects. */
  render(config: Config, served: ReadonlyMap<string, readonly ServedCertificate[]>): readonly Section[] {
    const before = new Map(this.#sections.map((section) => [section.name, section]));
    const file = (kind: 'certificate' | 'crt-list', name: string, text: string): Section => {
      const old = before.get(name);
      return old?.kind === kind && old.text === text ? old : { kind, name, text, service: null };
    };
    this.#sections = Object.keys(config.frontends).flatMap((frontend) => {
      const its = served.get(frontend);
      if (its === undefined || its.length === 0) return [];
      const files = its.map(({ name, pem }) => file('certificate', certificateFile(config, frontend, name), pem));
      // HAProxy uses the first one for a client whose name matches none.
      const list = files.map(({ name }) => `${name}\n`).join('');
      return [...files, file('crt-list', certificateList(config, frontend), list)];
    });
    return this.#sections;
  }
}
