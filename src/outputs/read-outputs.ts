/** Makes outputs from their config and the templates that it names. */
import type { Config } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import { type ReadFile, readOnce } from '../lib/files/read-file.ts';
import { builtIns } from './built-in.ts';
import type { Output } from './file-output.ts';
import { ownTemplate } from './own-template.ts';

type Settings = Config['outputs'][string];

/** The paths of the administrator's own templates. */
export function templatesOf({ outputs }: Pick<Config, 'outputs'>): readonly string[] {
  return Object.values(outputs).flatMap(({ template }) => (isBuiltIn(template) ? [] : [template]));
}

/** Throws an AppError where a template cannot be read or is not valid. */
export async function readOutputs(
  { outputs }: Pick<Config, 'outputs'>,
  readFile: ReadFile = readOnce,
): Promise<readonly Output[]> {
  return Promise.all(
    Object.entries(outputs).map(async ([name, settings]): Promise<Output> => {
      const { path, check, reload, mode, minInterval, timeout } = settings;
      return {
        name,
        path,
        mode: Number.parseInt(mode, 8),
        check: check ?? null,
        reload: reload ?? null,
        timeoutMs: timeout,
        minIntervalMs: minInterval,
        render: await rendererOf(settings, readFile),
      };
    }),
  );
}

async function rendererOf({ template, encoding }: Settings, readFile: ReadFile): Promise<Output['render']> {
  if (isBuiltIn(template)) return builtIns[template];
  const bytes = await readFile(template).catch((cause: unknown) => {
    throw new AppError('MYELIN_TEMPLATE_INVALID', `cannot read the template ${template}`, { cause });
  });
  return ownTemplate(
    {
      file: template,
      text: bytes
        .toString('utf8')
        .replace(/^\ufeff/, '')
        .replaceAll('\r\n', '\n'),
    },
    encoding,
  );
}

function isBuiltIn(template: string): template is keyof typeof builtIns {
  return Object.hasOwn(builtIns, template);
}
