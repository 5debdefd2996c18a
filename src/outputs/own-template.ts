/** An output made by the administrator's template: the language of `haproxy.cfg`'s templates, other encoders. Pure. */
import { outputEncodings } from '../config/schema/outputs.ts';
import type { Endpoint, originFields } from '../model.ts';
import { nameServers } from '../render/names.ts';
import { createEngine } from '../render/templates/engine.ts';
import { type Helper, plainHelpers } from '../render/templates/helpers.ts';
import type { TemplateSource } from '../render/templates/template-error.ts';
import { originValues, textOf, Value, valuesByKey } from '../render/templates/value.ts';
import { inOrder } from './built-in.ts';
import { type Encoding, encoders, place } from './encode.ts';
import type { ServiceView } from './target.ts';

/** The data of the template; docs/reference/outputs.md lists it. */
type OutputContext = { readonly services: readonly ServiceContext[] };

type ServiceContext = { readonly name: Value; readonly servers: readonly ServerContext[] };

type ServerContext = {
  readonly name: Value;
  readonly address: Value;
  readonly ip: Value;
  readonly port: number;
  readonly weight: number;
  readonly isDraining: boolean;
  readonly id: Value;
  readonly tags: readonly Value[];
  readonly meta: Readonly<Record<string, Value>>;
  readonly origin: Readonly<Record<(typeof originFields)[number], Value | null>>;
};

/** Throws an AppError, now or when it renders, that names file, line and column. */
export function ownTemplate(source: TemplateSource, encoding: Encoding): (view: ServiceView) => string {
  const engine = createEngine(new Map([['output', source]]), { ...plainHelpers, ...encodingHelpers });
  const encode = encoders[encoding];
  const values: Values = {
    ofSource: (text) => new Value(text, encode),
    // Names and addresses are validated already: where no quotes are wanted they stay unchanged, with their brackets.
    judged: (text) => new Value(text, encoding === 'word' ? (same) => same : encode),
  };
  return (view) => engine('output', contextOf(view, values));
}

type Values = { readonly ofSource: (text: string) => Value; readonly judged: (text: string) => Value };

const encodingHelpers: Readonly<Record<string, Helper>> = Object.fromEntries(
  outputEncodings.map((name) => [
    name,
    {
      usage: `{{${name} A}}`,
      meaning: `The value as \`encoding: ${name}\` writes it.`,
      takes: 1,
      call: (given) => encoders[name](textOf(given)),
    },
  ]),
);

function contextOf(view: ServiceView, values: Values): OutputContext {
  return {
    services: inOrder(view).map(([name, endpoints]) => ({
      name: values.ofSource(name),
      servers: nameServers(endpoints).map((server) => serverContext(server.name, server.endpoint, values)),
    })),
  };
}

function serverContext(name: string, endpoint: Endpoint, { ofSource, judged }: Values): ServerContext {
  const { id, address: ip, port, weight, state, tags = [], meta = {}, origin = {} } = endpoint;
  const isDraining = state === 'draining';
  return {
    name: judged(name),
    address: judged(place(ip, port)),
    ip: judged(ip),
    port,
    weight: isDraining ? 0 : weight,
    isDraining,
    id: ofSource(id),
    tags: tags.map(ofSource),
    meta: valuesByKey(meta, ofSource),
    origin: originValues(origin, ofSource),
  };
}
