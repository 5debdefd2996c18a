/** `myelin check`: the config, the templates, and what HAProxy says of the result. Touches nothing that serves. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { forgetHealth } from '../../apply/files/health-file.ts';
import { Certificates } from '../../certificates/certificates.ts';
import { withDiscovered } from '../../config/discover/discovered.ts';
import { bindAt } from '../../config/discover/read-option.ts';
import { maskText } from '../../config/read/mask.ts';
import type { Config } from '../../config/schema.ts';
import { originOf } from '../../config/validate/written.ts';
import { AppError, exitCodes } from '../../errors.ts';
import { findBinary } from '../../haproxy/binary/binary.ts';
import { askForOpinion, type Complaint } from '../../haproxy/binary/check.ts';
import { reloadOnly } from '../../haproxy/resources/servers/plan/reload-only.ts';
import { attribute } from '../../haproxy/text/attribution.ts';
import { atOtherPaths, filesIn } from '../../haproxy/text/layout/files.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import { notOurs } from '../../haproxy/text/own-process.ts';
import { tokenise } from '../../haproxy/text/text.ts';
import { listNames } from '../../lib/list-names.ts';
import type { Endpoint } from '../../model.ts';
import { checkElsewhere, type Output, readOutput, renderOutput, takesCandidate } from '../../outputs/file-output.ts';
import type { ServiceView } from '../../outputs/target.ts';
import { checkPrinted } from '../../render/printed-servers.ts';
import type { RenderResult } from '../../render/render.ts';
import { printableJson, printableLines } from '../../report/text/printable.ts';
import { loadSettings, type Settings } from '../../settings/settings.ts';
import type { Globals } from '../globals.ts';
import { versionOf } from './desired.ts';
import { toldOnce } from './problems.ts';

/** A server for every backend, so that server options are checked too; from a documentation range. */
const example: Endpoint = { id: 'example', address: '192.0.2.1', port: 80, weight: 1, state: 'ready' };

export async function check(globals: Globals): Promise<number> {
  const settings = await loadSettings(globals.config, process.env);
  const { renderer } = settings;
  const config = withExampleServices(settings.config);
  const endpoints = new Map([...config.services.keys()].map((name) => [name, [example]]));
  const version = await versionOf(config, process.env);
  await using folder = await temporaryFolder();
  // Our own files are missing before the first start, which needs no warning.
  const trial = { ...config, state: folder.path };
  await forgetHealth(trial);
  const certificates = await Certificates.open(config, { isPreview: true });
  const inForce = certificates.of(config);
  const rendered = renderer.render({ config: trial, endpoints, ...inForce, version, hostname: hostname() });
  if (rendered.problems.length > 0) throw new AppError('MYELIN_TEMPLATE_INVALID', toldOnce(rendered.problems));

  const lines = checkPrinted(rendered.sections, config.services);
  const { haproxy, warnings } = await checkWithHaproxy(settings, rendered, folder.path);
  const { size } = settings.config.services;
  const byReload = takesCommands(config) ? Object.fromEntries(reloadOnly(rendered.sections)) : {};
  const outputs = await Promise.all(settings.outputs.map((output) => checkOutput(output, { endpoints }, folder.path)));
  const leftOut = certificates
    .states(config.frontends)
    .flatMap(({ frontend, file, name, problem }) =>
      problem === null ? [] : [`frontends.${frontend}.certificates: ${file ?? name}: ${problem}`],
    );
  const caFiles = certificates.caFileStates(config).flatMap(({ frontend, file, problem }) => {
    const place = frontend === null ? 'server.tls.caFile' : `frontends.${frontend}.clientCertificates.caFile`;
    return problem === null ? [] : [`${place}: ${file}: ${problem}`];
  });
  const allWarnings = [...withoutEffect(config), ...lines, ...leftOut, ...caFiles, ...warnings];
  const result = {
    config: globals.config,
    services: size,
    haproxy,
    outputs,
    warnings: allWarnings,
    reloadOnly: byReload,
  };
  if (globals.json) process.stdout.write(`${printableJson(result, 2)}\n`);
  else {
    const services = `${size} ${size === 1 ? 'service' : 'services'}`;
    process.stdout.write(`${globals.config}: ${services}, templates and config are valid\n${haproxy}\n`);
    for (const { output, verdict } of outputs) process.stdout.write(`output ${output}: ${verdict}\n`);
    for (const warning of allWarnings) process.stdout.write(`warning: ${printableLines(warning)}\n`);
    for (const [name, what] of Object.entries(byReload))
      process.stdout.write(`${name}: each new server needs a reload, as its backend is written: ${what}\n`);
  }
  return exitCodes.ok;
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

/** With a service as each source may offer one, so that what they all have is looked at as well. */
function withExampleServices(config: Config): Config {
  const services = new Map(config.services);
  for (const discovery of config.discoveries) {
    const { watcher, key, limits } = discovery;
    const name = `discovered:${watcher}${key.slice(1)}`;
    const service = { key: `${key}/example`, name, owner: '', createdAt: 0, options: {} };
    const served = withDiscovered(config, [{ discovery, service }]);
    const [rejected] = served.rejected;
    if (rejected !== undefined) throw new AppError('MYELIN_CONFIG_INVALID', `discover.${watcher}: ${rejected.reason}`);
    const example = served.config.services.get(name);
    // This does not check whether a port is free.
    const bind = limits.ports === undefined ? [] : [bindAt(limits, limits.ports.first)];
    if (example !== undefined) services.set(name, { ...example, bind });
  }
  return { ...config, services };
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-check-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

type Answer = { readonly haproxy: string; readonly warnings: readonly string[] };

/** Throws MYELIN_CONFIG_REJECTED in HAProxy's words. Where HAProxy is elsewhere, its absence here is no fault. */
async function checkWithHaproxy(
  { config, secrets, written }: Settings,
  rendered: RenderResult,
  folder: string,
): Promise<Answer> {
  const { control, binary: name, passEnv } = config.haproxy;
  const binary = await findBinary(name, process.env.PATH).catch((error: unknown) => {
    if (control === 'process' || !(error instanceof AppError)) throw error;
    return null;
  });
  if (binary === null)
    return {
      haproxy: `not checked by HAProxy: there is no ${name} on this machine (control: ${control})`,
      warnings: [],
    };

  const file = join(folder, 'haproxy.cfg');
  // Temporary paths, because HAProxy reads the real ones now.
  let count = 0;
  const sections = atOtherPaths(rendered.sections, (path) => join(folder, `${count++}-${basename(path)}`));
  for (const { path, text } of filesIn(sections)) await writeFile(path, text, { mode: 0o600 });
  const text = textOf(sections);
  await writeFile(file, text, { mode: 0o600 });
  const printed = text.split('\n');
  const opinion = await askForOpinion(binary.path, [file], { timeoutMs: 60_000, passEnv });
  const refused: readonly Complaint[] = [
    ...opinion.refused,
    ...(control === 'process' ? notOurs(rendered.sections) : []),
  ];
  const describe = ({ message, line }: Complaint): string => {
    const services = attribute(message, line, rendered.sections);
    const whose =
      services.length === 0 ? '' : `${services.length === 1 ? 'service' : 'services'} ${listNames(services)}: `;
    if (line === undefined) return maskText(`${whose}${message}`, secrets);
    // Quoted, because the file that is written has the servers of now, and so other numbers.
    const its = printed[line - 1]?.trim() ?? '';
    const origin = originOf(its, services[0] ?? null, written);
    const place = origin === null ? 'of a template' : `${origin.path}, ${origin.place}`;
    return maskText(`${whose}${message} (${place}: \`${its}\`)`, secrets);
  };
  if (refused.length === 0)
    return { haproxy: `HAProxy ${binary.version.text} accepts it`, warnings: opinion.warnings.map(describe) };
  throw new AppError(
    'MYELIN_CONFIG_REJECTED',
    `HAProxy ${binary.version.text} rejects the config:\n${refused.map((one) => `  ${describe(one)}`).join('\n')}`,
    { remedy: 'mend the line in myelin.yaml or the template; `myelin render` prints the whole file' },
  );
}
