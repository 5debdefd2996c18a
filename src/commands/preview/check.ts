/** `myelin check`: the config, the templates, what HAProxy says of the result, and what this machine does. Disturbs nothing. */

import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { forgetHealth } from '../../apply/files/health-file.ts';
import { observe } from '../../apply/state/observe.ts';
import { Certificates } from '../../certificates/certificates.ts';
import type { Config } from '../../config/schema.ts';
import { AppError, exitCodes } from '../../errors.ts';
import { reloadOnly } from '../../haproxy/resources/servers/plan/reload-only.ts';
import { tokenise } from '../../haproxy/text/text.ts';
import { checkElsewhere, type Output, readOutput, renderOutput, takesCandidate } from '../../outputs/file-output.ts';
import type { ServiceView } from '../../outputs/target.ts';
import { checkPrinted } from '../../render/printed-servers.ts';
import { printable, printableJson, printableLines } from '../../report/text/printable.ts';
import { loadSettings, type Settings } from '../../settings/settings.ts';
import type { Globals } from '../globals.ts';
import { templatesFail, versionOf } from './desired.ts';
import { liveTrial, madeUpTrial, type Trial } from './trial.ts';
import { askHaproxy, assertMayWrite, assertStarts, temporaryFolder } from './verdict.ts';

type Options = {
  /** The config is for another machine, which has other addresses, folders and limits. */
  readonly elsewhere?: true;
  /** The sources are asked: it is tried with their servers, not with made-up ones. */
  readonly live?: true;
};

export async function check(globals: Globals, { elsewhere, live }: Options): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const { renderer } = settings;
  if (elsewhere !== true) await assertMayWrite(settings.config);
  const trial = live === true ? await liveTrial(settings, process.env) : madeUpTrial(settings.config);
  const { config, endpoints, madeUp } = trial;
  const version = await versionOf(config, process.env);
  await using folder = await temporaryFolder();
  // Our own files are missing before the first start, which needs no warning.
  const apart = { ...config, state: folder.path };
  await forgetHealth(apart);
  const certificates = await Certificates.open(config, { isPreview: true });
  const inForce = certificates.of(config);
  const rendered = renderer.render({ config: apart, endpoints, ...inForce, version, hostname: hostname() });
  if (rendered.problems.length > 0) throw triedBy(trial, settings, templatesFail(rendered.problems));

  const lines = checkPrinted(rendered.sections, withServers(trial));
  const { haproxy, warnings, error } = await askHaproxy(settings, rendered.sections, folder.path);
  if (error !== null) throw triedBy(trial, settings, error);
  // The address of a made-up service stands for all that discovered ones may listen at.
  const known = rendered.sections.filter(({ service }) => service === null || !madeUp.has(service));
  const doubts = elsewhere === true ? [] : await assertStarts(settings, known, await observe(settings.config));
  const size = config.services.size - madeUp.size;
  const byReload = takesCommands(config) ? Object.fromEntries(reloadOnly(rendered.sections)) : {};
  const outputs = await Promise.all(settings.outputs.map((output) => checkOutput(output, { endpoints }, folder.path)));
  const states = certificates.states(config.frontends);
  const leftOut = states.flatMap(({ frontend, file, name, problem }) => {
    if (problem === null) return [];
    const isAlone = states.some((one) => one.frontend === frontend && one.file === null && one.problem === null);
    const meanwhile = isAlone ? '; until there is a certificate, clients get a self-signed one' : '';
    return [`frontends.${frontend}.certificates: ${file ?? name}: ${problem}${meanwhile}`];
  });
  const caFiles = certificates.caFileStates(config).flatMap(({ frontend, file, problem }) => {
    const place = frontend === null ? 'server.tls.caFile' : `frontends.${frontend}.clientCertificates.caFile`;
    return problem === null ? [] : [`${place}: ${file}: ${problem}`];
  });
  const allWarnings = [
    ...trial.warnings,
    ...withoutEffect(config),
    ...lines,
    ...leftOut,
    ...caFiles,
    ...doubts,
    ...warnings,
  ];
  const result = {
    config: globals.config,
    services: size,
    triedWith: trial.what,
    haproxy,
    outputs,
    warnings: allWarnings,
    reloadOnly: byReload,
  };
  if (globals.json) process.stdout.write(`${printableJson(result, 2)}\n`);
  else {
    const services = `${size} ${size === 1 ? 'service' : 'services'}`;
    process.stdout.write(
      `${globals.config}: ${services}, templates and config are valid\ntried with ${printable(trial.what)}\n${haproxy}\n`,
    );
    for (const { output, verdict } of outputs) process.stdout.write(`output ${output}: ${verdict}\n`);
    for (const warning of allWarnings) process.stdout.write(`warning: ${printableLines(warning)}\n`);
    for (const [name, what] of Object.entries(byReload))
      process.stdout.write(`${name}: each new server needs a reload, as its backend is written: ${what}\n`);
  }
  return exitCodes.ok;
}

/** It may be what the servers lack that templates of one's own complain of, unless it is a name that is misspelt. */
function triedBy({ advice }: Trial, { config }: Settings, error: AppError): AppError {
  const { code, message, remedy } = error;
  if (config.templates === undefined || message.includes('; did you mean ')) return error;
  return new AppError(code, message, { remedy: remedy === undefined ? advice : `${remedy}; ${advice}` });
}

function withServers({ config, endpoints }: Trial): Config['services'] {
  return new Map([...config.services].filter(([name]) => (endpoints.get(name)?.length ?? 0) > 0));
}

type OutputVerdict = { readonly output: string; readonly verdict: string };

/** Throws an AppError where its path cannot be read, its template fails, or its command refuses what comes of it. */
async function checkOutput(output: Output, view: ServiceView, folder: string): Promise<OutputVerdict> {
  const { name, check: command } = output;
  await readOutput(output);
  const text = renderOutput(output, view);
  if (command === null) return { output: name, verdict: 'its template is valid' };
  if (!takesCandidate(command))
    return {
      output: name,
      verdict: 'its template is valid; `check` looks at the file in its place, and runs when it is written',
    };
  const file = join(folder, `output.${name}`);
  await writeFile(file, text, { mode: 0o600 });
  await checkElsewhere(output, file);
  return { output: name, verdict: `\`${command.join(' ')}\` accepts it` };
}

/** Each service prints a line of its own, and HAProxy takes the nearest. */
function withoutEffect({ haproxy, services }: Config): readonly string[] {
  if (services.size === 0) return [];
  return haproxy.defaults
    .filter((line) => tokenise(line).words[0] === 'mode')
    .map(
      (line) =>
        `haproxy.defaults: \`${line}\` has no effect on services: each has a \`mode\` of its own (http, if it says nothing)`,
    );
}

function takesCommands({ haproxy }: Config): boolean {
  return haproxy.control === 'process' || haproxy.control === 'master';
}
