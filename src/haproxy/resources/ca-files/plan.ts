/**
 * The commands that bring CA certificates to what is desired. HAProxy replaces them where a `bind` line names the file; a server
 * keeps those that it started with, even where they were replaced.
 */
import type { Rendered, Section } from '../../../model.ts';
import { isFile } from '../../text/layout/files.ts';
import { linesOf, tokenise } from '../../text/text.ts';
import { waits, whyNotCarried } from '../certificates/obstacles.ts';
import type { Obstacle, Planner, RuntimeState } from '../resource.ts';

export function isCaFile({ kind }: Pick<Section, 'kind'>): boolean {
  return kind === 'ca-file';
}

export function planCaFiles(running: Rendered, desired: Rendered, process: RuntimeState): Planner {
  const { maxPayloadBytes, caFiles, version } = process.capabilities;

  const whyNotTaken = (file: Section): Obstacle | null => {
    if (running.sections.some((section) => names(section, file.name, isOfServers)))
      return waits('servers keep the CA certificates that they started with');
    if (!caFiles || maxPayloadBytes === 0)
      return { code: 'capability_missing', detail: `set ssl ca-file, on HAProxy ${version.text}` };
    return whyNotCarried(file, maxPayloadBytes);
  };

  return {
    section(old, now) {
      if (now === null) {
        if (old === null || !isCaFile(old)) return null;
        const isNamed = desired.sections.some((section) => names(section, old.name));
        return { commands: [], obstacles: isNamed ? [waits('a line names it')] : [], after: () => old };
      }
      if (!isCaFile(now)) return null;
      // The lines that name it come by a reload, which reads it.
      const isKnown = [...running.sections, ...(process.started ?? [])].some((section) => names(section, now.name));
      if (!isKnown) return { commands: [], obstacles: [], after: () => now };
      const obstacle = whyNotTaken(now);
      if (obstacle !== null) return { commands: [], obstacles: [obstacle], after: () => old ?? now };
      const command = { kind: 'ca-file', action: 'set', caFile: now.name, pem: now.text } as const;
      return { commands: [command], obstacles: [], after: () => now };
    },
  };
}

/** Whether a line of the section, which has this first word, names the file. */
export function names(section: Section, path: string, mayName: (keyword: string) => boolean = () => true): boolean {
  if (isFile(section) || !section.text.includes('ca-file')) return false;
  return linesOf(section.text).some((line) => {
    if (!line.includes('ca-file')) return false;
    const { words } = tokenise(line);
    return mayName(words[0] ?? '') && words.some((word, at) => word === path && words[at - 1] === 'ca-file');
  });
}

function isOfServers(keyword: string): boolean {
  return keyword !== 'bind';
}
