/** Reads an option by which a service chooses for itself, in the same way as the config setting that it stands for. */

import {
  boundsOf,
  longestOption,
  plainBalances,
  type ServiceOption,
  serviceOptions,
  settingOf,
} from '../../../watchers/kit/service-options.ts';
import { duration, port, portOrName } from '../../../watchers/kit/values.ts';
import { didYouMean } from '../../lib/did-you-mean.ts';
import { hostPort } from '../../lib/net/address.ts';
import { formatPath, type Path } from '../problems.ts';
import type { Mark } from '../read/tree.ts';
import type { Limits } from '../schema/discovery.ts';
import { service as schema } from '../schema/service.ts';
import type { Discovery } from '../schema.ts';
import { schemaAt } from '../validate/shape.ts';
import { validate } from '../validate/validate.ts';

/** The value to put into the settings of the service, and its path; null: nothing. */
type Read = { readonly path: Path; readonly value: unknown } | null;

/** What may be chosen. */
type Choice = Pick<Discovery, 'limits' | 'withoutEffect'>;

/** Returns a text that says what is wrong where the option is not valid. */
export function readOption(option: string, text: string, choice: Choice): Read | string {
  return isOption(option, choice) ? readAllowed(option, text, choice.limits) : refusalOf(option, choice);
}

function isOption(option: string, choice: Choice): option is ServiceOption {
  return allowedBy(choice).includes(option);
}

/** In other modes HAProxy ignores lines about HTTP, also those that deny access. */
function allowedBy({ limits, withoutEffect }: Choice): readonly string[] {
  const { frontend, backend } = limits.service;
  const hasLines = frontend.length + backend.length > 0;
  const allowed = limits.options ?? serviceOptions.filter((option) => option !== 'mode' || !hasLines);
  return allowed.filter((option) => !withoutEffect.includes(option));
}

function refusalOf(option: string, choice: Choice): string {
  if ((choice.withoutEffect as readonly string[]).includes(option)) return 'has no effect here: leave it out';
  if ((serviceOptions as readonly string[]).includes(option)) return 'may not be chosen here (discover.options)';
  const options = allowedBy(choice);
  return `unknown option; allowed: ${options.join(', ')}${didYouMean(option, options)}`;
}

function readAllowed(option: ServiceOption, text: string, limits: Limits): Read | string {
  if (text.length > longestOption) return `expected at most ${longestOption} characters`;
  if (option === 'listen') return readListen(text, limits);
  // Routes are read when all other options are known.
  if (option === 'routes') return null;
  // Which port of the service it means is decided by the watcher.
  if (option === 'port') return problemOf(validate(portOrName, text, asText)) ?? null;
  if (option === 'balance' && !(plainBalances as readonly string[]).includes(text))
    return `${JSON.stringify(text)} is not allowed; allowed: ${plainBalances.join(', ')}`;
  const path = settingOf[option];
  const place = schemaAt(schema, {}, path);
  if (place === undefined) throw new Error(`a service has no setting ${formatPath(path)}`);
  const verdict = validate(place, text, asText);
  if (!('output' in verdict)) return problemOf(verdict) ?? '';
  return beyondBounds(option, text, verdict.output) ?? { path, value: verdict.output };
}

/** The administrator may set any time that HAProxy takes; the owner of a service shares HAProxy with others. */
function beyondBounds(option: ServiceOption, text: string, value: unknown): string | undefined {
  if (!isBounded(option)) return undefined;
  const [least, most] = boundsOf[option];
  const isWithin = typeof value === 'number' && value >= duration.parse(least) && value <= duration.parse(most);
  return isWithin ? undefined : `${JSON.stringify(text)} is not allowed; allowed: ${least} to ${most}`;
}

function isBounded(option: ServiceOption): option is keyof typeof boundsOf {
  return Object.hasOwn(boundsOf, option);
}

/** The bind line of a service that listens on this port. */
export function bindAt({ bindAddress }: Limits, number: number): string {
  return hostPort(bindAddress, number);
}

function readListen(text: string, limits: Limits): Read | string {
  const { ports } = limits;
  const verdict = validate(port, text, asText);
  if (!('output' in verdict)) return problemOf(verdict) ?? '';
  if (ports === undefined) return 'no ports may be chosen here (discover.ports)';
  if (verdict.output < ports.first || verdict.output > ports.last)
    return `${text} is not allowed; allowed: ${ports.first} to ${ports.last} (discover.ports)`;
  return { path: ['bind'], value: [bindAt(limits, verdict.output)] };
}

function problemOf(verdict: ReturnType<typeof validate>): string | undefined {
  // Where a text has two problems, correcting the first one often corrects both.
  return 'problems' in verdict ? verdict.problems[0]?.message : undefined;
}

/** A number written as text counts as a number, as it does where it comes from the environment. */
const nowhere = { file: '', line: 0, column: 0 };
const asText: Mark = { key: nowhere, value: nowhere, isSubstituted: true, children: new Map() };
