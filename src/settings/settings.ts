/** The config with its templates and outputs: everything that may be replaced while Myelin runs. */
import { isDeepStrictEqual } from 'node:util';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { namedSectionsIn } from '../config/names.ts';
import { ConfigError } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { originOf } from '../config/validate/written.ts';
import { parseVersion, type Version } from '../haproxy/binary/version.ts';
import type { ReadFile } from '../lib/files/read-file.ts';
import type { Problem } from '../model.ts';
import type { Output } from '../outputs/file-output.ts';
import { readOutputs, templatesOf } from '../outputs/read-outputs.ts';
import { createRenderer, type Renderer } from '../render/render.ts';
import { readTemplates } from './templates.ts';

export type Settings = LoadedConfig & {
  readonly renderer: Renderer;
  readonly outputs: readonly Output[];
  /** The paths of all files and folders that the settings depend on. */
  readonly watched: readonly string[];
};

/**
 * Throws an AppError where the config or a template is invalid. `onRead` is called with all paths that are read, also
 * before an error, so that these can be watched until the error is mended.
 */
export async function loadSettings(
  path: string,
  env: NodeJS.ProcessEnv,
  onRead: (paths: readonly string[]) => void = () => {},
  readFile?: ReadFile,
): Promise<Settings> {
  const loaded = await loadConfig(path, env, readFile).catch((error: unknown) => {
    if (error instanceof ConfigError) onRead(error.files);
    throw error;
  });
  const { templates: folder } = loaded.config;
  const outputTemplates = templatesOf(loaded.config);
  onRead([...loaded.files, ...loaded.folders, ...(folder === undefined ? [] : [folder]), ...outputTemplates]);
  const templates = await readTemplates(folder, readFile);
  onRead(templates.files);
  const outputs = await readOutputs(loaded.config, readFile);
  const texts = [...templates.sources.values()].map(({ text }) => text);
  const namesInTemplates = texts.flatMap(namedSectionsIn).map(({ name }) => name);
  return {
    ...loaded,
    config: { ...loaded.config, namesInTemplates },
    renderer: createRenderer(templates.sources),
    outputs,
    watched: [...loaded.files, ...loaded.folders, ...templates.files, ...outputTemplates],
  };
}

/** With the place in the config of the line that it is about, where the config has it. */
export function located(problem: Problem, { written }: Pick<Settings, 'written'>): Problem {
  const { text, service } = problem;
  const origin = text === undefined ? null : originOf(text, service, written);
  return origin === null ? problem : { ...problem, origin: { path: origin.path, place: origin.place } };
}

/** Paths and the control of HAProxy stay as they were at the start. */
const fixedKeys = ['state', 'admin', 'probes'] as const;
const fixedHaproxyKeys = ['control', 'config', 'statsSocket', 'masterSocket', 'handover', 'keepFiles'] as const;

/** `next`, but with the fixed keys of `running`: a change of those takes effect after a restart. */
export function keepFixed(
  running: Config,
  next: Config,
): { readonly config: Config; readonly afterRestart: readonly string[] } {
  const { masterSocket: _, handover: __, ...others } = next.haproxy;
  const haproxy = { ...others, ...pick(running.haproxy, fixedHaproxyKeys) };
  return {
    config: { ...next, ...pick(running, fixedKeys), haproxy },
    afterRestart: [
      ...fixedHaproxyKeys
        .filter((key) => !isDeepStrictEqual(running.haproxy[key], next.haproxy[key]))
        .map((key) => `haproxy.${key}`),
      ...fixedKeys.filter((key) => !isDeepStrictEqual(running[key], next[key])),
    ],
  };
}

/** Keys that are missing in `from` are missing in the result. */
function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(from, key)).map((key) => [key, from[key]])) as Pick<
    T,
    K
  >;
}

/** The version to render for where no HAProxy is found: that of the config, else the oldest supported one. */
export function presumedVersion({ haproxy }: Pick<Config, 'haproxy'>): Version {
  return parseVersion(haproxy.version ?? '') ?? { major: 2, minor: 2, text: '2.2' };
}
