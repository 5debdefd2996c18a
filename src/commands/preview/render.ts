/** `myelin render`: prints the file that would be written, as it would be written; with `--mask` for others to read. */
import { maskLines } from '../../config/read/mask.ts';
import { AppError, exitCodes } from '../../errors.ts';
import { filesIn, withoutFiles } from '../../haproxy/text/layout/files.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import { printableJson } from '../../report/text/printable.ts';
import { loadSettings } from '../../settings/settings.ts';
import type { Globals } from '../globals.ts';
import { renderDesired } from './desired.ts';

type Options = {
  readonly snapshot?: string;
  /** One of `outputs`, in the place of HAProxy's file. */
  readonly output?: string;
  /** Secrets are masked. */
  readonly mask?: true;
};

export async function render(globals: Globals, { snapshot, output: name, mask }: Options): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const output = name === undefined ? null : settings.outputs.find((each) => each.name === name);
  if (output === undefined) {
    const names = settings.outputs.map((each) => each.name).join(', ') || 'none';
    throw new AppError('MYELIN_USAGE', `there is no output ${JSON.stringify(name)}; there are: ${names}`);
  }
  const desired = await renderDesired(settings, process.env, { snapshot });
  if (output !== null) {
    const text = desired.outputs.find((each) => each.output === output)?.text ?? null;
    if (text === null)
      throw new AppError('MYELIN_SOURCE_TIMEOUT', `not every service of output ${output.name} is known yet`);
    process.stdout.write(globals.json ? `${printableJson({ path: output.path, text }, 2)}\n` : text);
    return exitCodes.ok;
  }
  const written = mask === true ? desired.masked() : desired.sections;
  const text = mask === true ? maskLines(textOf(written)) : textOf(written);
  const files = filesIn(written).map(({ path, text: its, mode }) => ({ path, text: isForAll(mode) ? its : null }));
  const sections = withoutFiles(desired.sections).map(({ kind, name, service }) => ({ kind, name, service }));
  process.stdout.write(
    globals.json ? `${printableJson({ text, sections, files }, 2)}\n` : text + files.map(asComment).join(''),
  );
  return exitCodes.ok;
}

/** What stands beside the config, in words that leave it a config. */
function asComment({ path, text }: { readonly path: string; readonly text: string | null }): string {
  const lines = text === null ? ['not shown: it holds a key'] : text.split('\n').slice(0, -1);
  return `\n# ${path}\n${lines.map((line) => `#     ${line}\n`).join('')}`;
}

/** Private keys are not shown. */
function isForAll(mode: number): boolean {
  return (mode & 0o077) !== 0;
}
