/** Every command with its arguments and options, and the module that carries it out, which is loaded when it runs. */
import { existsSync } from 'node:fs';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { exitCodes } from '../errors.ts';
import { logFormats, logLevels } from '../model.ts';
import { ownVersion } from '../version.ts';
import type { DemoOptions } from './demo.ts';
import type { Globals } from './globals.ts';

/** What a command gives back is the exit code. */
type Run = (globals: Globals) => Promise<number>;

const configPlaces = ['./myelin.yaml', '/etc/myelin/myelin.yaml'];

/** `onDone` gets the exit code of the command that ran. */
export function commandLine({ isJson, onDone }: { isJson: boolean; onDone(exitCode: number): void }): Command {
  const program = new Command('myelin')
    .description('Keeps HAProxy in step with service discovery: every change live, no connection dropped.')
    .version(ownVersion(), '-v, --version')
    .addOption(
      new Option('-c, --config <file>', `the config file (default: ${configPlaces.join(', then ')})`).env(
        'MYELIN_CONFIG',
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'how much to log (default: `log.level` of the config)')
        .choices(logLevels)
        .env('MYELIN_LOG_LEVEL'),
    )
    .addOption(
      new Option('--log-format <format>', 'how to log (default: `log.format` of the config)')
        .choices(logFormats)
        .env('MYELIN_LOG_FORMAT'),
    )
    .option('--json', 'results as JSON, and errors too, these on standard error', false)
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', '\nAn error ends with its code in brackets: docs/reference/errors.md says what each means.')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput(isJson ? { writeErr: () => {} } : {})
    .exitOverride();

  const command = (name: string, description: string, run: (...args: never[]) => Promise<number>): Command =>
    program
      .command(name)
      .description(description)
      .action(async (...args) => {
        onDone(await run(...(args as never[])));
      });
  const withGlobals = (run: Run): Promise<number> => {
    const { config, ...rest } = program.opts<Partial<Globals> & Omit<Globals, 'config'>>();
    return run({ ...rest, config: config ?? configPlaces.find((path) => existsSync(path)) ?? './myelin.yaml' });
  };

  command('run', 'watch and apply until told to stop', (options: { once?: true; apply: boolean; takeOver?: true }) =>
    withGlobals(async (globals) => (await import('./run.ts')).run(globals, options)),
  )
    .option('--once', 'stop after the first apply and leave HAProxy running')
    .option('--no-apply', 'only write the file, leave HAProxy alone')
    .option(
      '--take-over',
      'take the listening sockets of the HAProxy that serves at haproxy.statsSocket, also where others started it',
    );
  command(
    'check',
    'what `run` would meet: in the config, in the templates, from HAProxy and on this machine; disturbs nothing',
    (options: { elsewhere?: true; live?: true }) =>
      withGlobals(async (globals) => (await import('./preview/check.ts')).check(globals, options)),
  )
    .option('--live', 'ask the sources, and try the templates with their servers instead of made-up ones')
    .option('--elsewhere', 'the config is for another machine, with other addresses, folders and limits');
  command(
    'render',
    'print the file that would be written',
    (options: { snapshot?: string; output?: string; mask?: true }) =>
      withGlobals(async (globals) => (await import('./preview/render.ts')).render(globals, options)),
  )
    .option('--snapshot <file>', 'endpoints from this file (as a `file` source has them) instead of the live sources')
    .option('--output <name>', "this one of `outputs`, in the place of HAProxy's file")
    .option('--mask', 'without its passwords and other secrets, to be shown to others');
  command('plan', 'print what `run` would do now, and why', (options: { snapshot?: string; exitCode?: true }) =>
    withGlobals(async (globals) => (await import('./preview/plan.ts')).plan(globals, options)),
  )
    .option('--snapshot <file>', 'endpoints from this file instead of the live sources')
    .option('--exit-code', `exit with ${exitCodes.changesPending} when something is pending`);
  command(
    'status',
    'what the running Myelin does',
    (service: string | undefined, options: { watch?: true; problems?: true }) =>
      withGlobals(async (globals) => (await import('./instance/status.ts')).status(globals, service, options)),
  )
    .argument('[service]', 'this one in full')
    .option('--problems', 'only what is not well, with its cause and what acts on it')
    .option('--watch', 'again whenever something changes, with what happened last, until Ctrl-C');
  command('servers', 'what the sources and HAProxy say of each server', (service: string | undefined) =>
    withGlobals(async (globals) => (await import('./instance/servers.ts')).servers(globals, service)),
  ).argument('[service]', 'of this one alone');
  command(
    'events',
    'what happened, and why',
    (service: string | undefined, options: { since: string; follow?: true }) =>
      withGlobals(async (globals) => (await import('./instance/events.ts')).events(globals, service, options)),
  )
    .argument('[service]', 'about this one alone')
    .option('--since <time>', 'how far back, such as 30m', '1h')
    .option('--follow', 'and what happens from now on, until Ctrl-C');
  command('why', 'why a service, a server or a host and path gets traffic, or none', (about: string) =>
    withGlobals(async (globals) => (await import('./instance/why.ts')).why(globals, about)),
  ).argument('<about>', 'SERVICE, SERVICE/SERVER, or HOST/PATH of a shared frontend');
  command(
    'probe',
    'whether the running Myelin is well, for orchestrators',
    (what: 'live' | 'ready', { socket }: { socket?: string }) =>
      withGlobals(async (globals) => (await import('./instance/probe.ts')).probe(globals, what, socket)),
  )
    .addArgument(
      new Argument('<what>', 'live: it works; ready: a good config is applied; else the exit code is 1').choices([
        'live',
        'ready',
      ]),
    )
    .option('--socket <path>', 'its control socket; to find it in the config takes longer than to ask there');
  command('ui', 'print the address of the page that shows the running Myelin', (options: { open?: true }) =>
    withGlobals(async (globals) => (await import('./instance/ui.ts')).ui(globals, options)),
  ).option('--open', 'and open it in a browser');
  command('reload', 'have the running Myelin reload HAProxy', () =>
    withGlobals(async (globals) => (await import('./instance/control.ts')).reload(globals)),
  );
  command(
    'accept',
    'let go the endpoints of a service that are kept although they vanished',
    (service: string | undefined, options: { all?: true }) =>
      withGlobals(async (globals) => (await import('./instance/control.ts')).accept(globals, service, options)),
  )
    .argument('[service]', 'its name')
    .option('--all', 'those of every service');
  command(
    'server',
    'take a server out, or give it back',
    (state: 'maint' | 'drain' | 'ready', name: string, options: { for?: string }) =>
      withGlobals(async (globals) => (await import('./instance/control.ts')).server(globals, state, name, options)),
  )
    .addArgument(
      new Argument('<state>', 'maint: no connections at all; drain: no new ones; ready: given back').choices([
        'maint',
        'drain',
        'ready',
      ]),
    )
    .argument('<server>', 'SERVICE/NAME')
    .option('--for <time>', 'give it back by itself after this time, such as 30m');
  command('stop', 'stop the running Myelin', (options: { haproxy?: true }) =>
    withGlobals(async (globals) => (await import('./instance/control.ts')).stop(globals, options)),
  ).option('--haproxy', 'and the HAProxy that it started, also where no Myelin runs any more');
  command('init', 'write a commented myelin.yaml', (source: string, options: { force?: true }) =>
    withGlobals(async (globals) => (await import('./setup/init.ts')).init(globals, source, options)),
  )
    .argument('[source]', 'consul, file or kubernetes', 'consul')
    .option('--force', 'replace what is there');
  command('eject', 'copy the built-in templates, to change them', (folder: string, options: { force?: true }) =>
    withGlobals(async (globals) => (await import('./setup/eject.ts')).eject(globals, folder, options)),
  )
    .argument('[folder]', 'where to', './templates')
    .option('--force', 'replace what is there');
  command('schema', 'print the JSON Schema of the config', () =>
    withGlobals(async (globals) => (await import('./setup/schema.ts')).schema(globals)),
  );
  command('version', 'print the version, as `--version` does', async () => {
    process.stdout.write(`${ownVersion()}\n`);
    return exitCodes.ok;
  });
  command(
    'demo',
    'everything on this machine: backends, source, HAProxy, churn and load',
    async (options: DemoOptions) => (await import('./demo.ts')).demo(options),
  )
    .option('--consul', 'a real Consul agent as the source (`consul` in PATH) instead of a file')
    .option('--seconds <n>', 'how long to run', wholeNumber(1, 86_400), 20)
    .option('--port-base <port>', 'backends listen on this port and the following ones', wholeNumber(1, 65_535), 9000);
  return program;
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d{1,6}$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Expected a whole number, ${min} to ${max}.`);
  };
}
