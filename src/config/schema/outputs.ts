/** `outputs`: files beside `haproxy.cfg` that list the endpoints. */
import { z } from 'zod';
import { duration, filePath, someTime, text } from '../../../watchers/kit/values.ts';
import { commandLine, proxyName } from '../values.ts';

/** Built-in templates; anything else is the path of a template. */
export const builtInOutputs = ['hosts', 'nginx-upstream', 'json'] as const;

export const outputEncodings = ['word', 'line', 'json', 'shell'] as const;

const templateText = `${builtInOutputs.join(', ')}, or the path of a template such as ./hosts.hbs`;

const output = z.strictObject({
  path: filePath.describe(
    'The file. It is Myelin’s alone: what somebody else writes into it is lost with the next change.',
  ),
  template: text
    .refine((value) => value.includes('/') || builtInOutputs.some((name) => name === value), `expected ${templateText}`)
    .meta({ title: 'name or path', path: 'program', expected: templateText })
    .describe('What it is made by: `hosts`, `nginx-upstream`, `json`, or the path of a template of your own.'),
  encoding: z
    .enum(outputEncodings)
    .default('word')
    .describe(
      'How a template of your own writes what sources say. word: letters, digits and `. _ : / @ + , -` alone; line: any text on one line; ' +
        'json: a quoted text of JSON, YAML or JavaScript; shell: one argument.',
    ),
  check: commandLine
    .optional()
    .describe(
      'Must succeed, or the last good file stays. With `{file}` it checks the new file beside the old one, without it the new file in its place.',
    ),
  reload: commandLine.optional().describe('Run after the file has changed, until it succeeds.'),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'expected three octal digits such as "0644"')
    .default('0640')
    .describe('Of the file, in quotes.'),
  minInterval: duration
    .prefault('1s')
    .describe('Least time from one change of the file to the next; the first of a burst is written at once.'),
  timeout: someTime.prefault('30s').describe('How long a command may take.'),
});

export const outputs = z.record(proxyName, output).prefault({}).describe('Further files that say who serves, by name.');
