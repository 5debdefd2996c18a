/**
 * The only importer of @kubernetes/client-node: where the API server is and how each request proves who asks. Of the
 * package only its reading of kubeconfigs and its authentication are used: its informer stops for good on most errors,
 * and its watch swallows those of the stream (docs/decisions/0006-own-reflector.md).
 */
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { z } from 'zod';
import { AppError, describe, hasCode } from '../../../src/errors.ts';
import { hostPort } from '../../../src/lib/net/address.ts';
import type { Ms } from '../../../src/model.ts';
import { spellingsOfLogin } from '../../kit/login.ts';
import type { KubernetesSettings } from '../settings.ts';
import { type Plugin, PluginCredentials, type Proof } from './plugin.ts';

export type Access = {
  /** For people: the address of the API server. */
  readonly server: string;
  /** Of the context or the pod. */
  readonly namespace: string | undefined;
  /** Address, certificates, headers and agent of one request; tokens from files and plugins are renewed when due. */
  request(signal: AbortSignal): Promise<Credentials>;
  /** Reads every credential again at the next request, because the server has refused the present ones. */
  renew(): void;
};

export type Credentials = { readonly url: string; readonly options: RequestOptions };

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The package asks for a new token where the kubeconfig says how (`oidc`), over the network. */
const credentialTimeoutMs: Ms = 60_000;

/** Every idle connection is closed when `signal` aborts. `podFolder` is where a pod finds its service account. */
export async function openAccess(
  settings: Pick<KubernetesSettings, 'kubeconfig' | 'context'> & { readonly onSecret?: (secret: string) => void },
  env: NodeJS.ProcessEnv,
  maxConnections: number,
  signal: AbortSignal,
  podFolder: string = serviceAccount,
): Promise<Access> {
  const { onSecret = () => {} } = settings;
  const load = (): Promise<KubeConfig> => loadConfig(settings, env, podFolder);
  const first = await load();
  const { server } = clusterOf(first);
  const keptAlive = { keepAlive: true, maxSockets: maxConnections };
  const agent = server.startsWith('https:') ? new HttpsAgent(keptAlive) : new HttpAgent(keptAlive);
  if (signal.aborted) agent.destroy();
  else signal.addEventListener('abort', () => agent.destroy(), { once: true });

  let config: KubeConfig | undefined = first;
  let fromPlugin: PluginCredentials | undefined;
  return {
    server,
    namespace: first.getContextObject(first.getCurrentContext())?.namespace,
    async request(stop) {
      config ??= await load();
      const cluster = clusterOf(config);
      const options: RequestOptions = {};
      await within(config.applyToHTTPSOptions(options), stop);
      const plugin = pluginOf(config.getCurrentUser());
      if (plugin !== null) {
        fromPlugin ??= new PluginCredentials(plugin, env, signal);
        prove(options, await untilAborted(fromPlugin.get(), stop));
      }
      for (const secret of secretsIn(options)) onSecret(secret);
      // Its own agent opens a connection for each request; through a proxy there is no other.
      return { url: cluster.server, options: cluster.proxyUrl === undefined ? { ...options, agent } : options };
    },
    renew() {
      config = undefined;
      fromPlugin = undefined;
    },
  };
}

/** What a request says to prove who asks. */
function secretsIn({ headers, auth }: RequestOptions): readonly string[] {
  const entries = Array.isArray(headers) ? [] : Object.entries(headers ?? {});
  const [, value] = entries.find(([name]) => name.toLowerCase() === 'authorization') ?? [];
  const words = typeof value === 'string' ? value.replace(/^\S+\s+/, '') : '';
  return [...(words === '' ? [] : [words]), ...(auth ? spellingsOfLogin(auth) : [])];
}

/** As kubectl looks for them, and then as a pod does. */
async function loadConfig(
  { kubeconfig, context }: Pick<KubernetesSettings, 'kubeconfig' | 'context'>,
  env: NodeJS.ProcessEnv,
  podFolder: string,
): Promise<KubeConfig> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node/dist/config.js');
  const files = kubeconfig === undefined ? await filesOf(env) : [kubeconfig];
  const config = new Config();
  if (files.length > 0) {
    for (const [index, file] of files.entries()) await readInto(index === 0 ? config : new Config(), config, file);
  } else if (env.KUBERNETES_SERVICE_HOST !== undefined) {
    await loadPod(config, env, podFolder);
  } else {
    throw new AppError('MYELIN_SOURCE_FAILED', 'there is neither a kubeconfig nor a pod’s service account', {
      remedy: 'set `kubeconfig` or KUBECONFIG, or let the pod mount its service account token',
    });
  }
  if (context !== undefined) config.setCurrentContext(context);
  const current = config.getCurrentContext();
  if (!config.getContexts().some(({ name }) => name === current))
    throw new AppError('MYELIN_SOURCE_FAILED', `the kubeconfig has no context ${JSON.stringify(current ?? '')}`, {
      remedy: `set \`context\` to one of ${config
        .getContexts()
        .map(({ name }) => name)
        .join(', ')}`,
    });
  return config;
}

async function filesOf({ KUBECONFIG = '', HOME = '' }: NodeJS.ProcessEnv): Promise<string[]> {
  const named = KUBECONFIG.split(delimiter).filter((file) => file !== '');
  if (named.length > 0 || HOME === '') return named;
  const usual = join(HOME, '.kube', 'config');
  return readFile(usual).then(
    () => [usual],
    (error: unknown) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
      throw new AppError('MYELIN_SOURCE_FAILED', `cannot read ${usual}`, { cause: error });
    },
  );
}

/** Reads `file` with `reader`, which is the first config itself or is merged into it: the first to name a thing wins. */
async function readInto(reader: KubeConfig, all: KubeConfig, file: string): Promise<void> {
  const path = resolve(file);
  try {
    const text = await readFile(path, 'utf8');
    reader.loadFromString(text);
    reader.makePathsAbsolute(dirname(path));
    reader.loadFromOptions({
      clusters: reader.clusters.map(allowHttp),
      users: reader.users.map((user) =>
        completed(user, parse(text, { logLevel: 'error' }), dirname(path), clusterFor(reader, user)),
      ),
      contexts: reader.contexts,
      currentContext: reader.currentContext,
    });
  } catch (error) {
    // A YAML error goes on for lines, with an extract of the file.
    const [why = ''] = describe(error).split('\n');
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot use the kubeconfig ${path}: ${why}`);
  }
  if (reader === all) return;
  all.loadFromOptions({
    clusters: [...all.clusters, ...reader.clusters.filter(isNew(all.clusters))],
    users: [...all.users, ...reader.users.filter(isNew(all.users))],
    contexts: [...all.contexts, ...reader.contexts.filter(isNew(all.contexts))],
    currentContext: all.currentContext ?? reader.currentContext,
  });
}

function isNew(known: readonly { readonly name: string }[]): (one: { readonly name: string }) => boolean {
  return ({ name }) => known.every((other) => other.name !== name);
}

/** `kubectl proxy` speaks plain HTTP, which the package takes for a mistake unless it need not verify anything. */
function allowHttp(cluster: Cluster): Cluster {
  return cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster;
}

function clusterFor(config: KubeConfig, { name }: User): Cluster | undefined {
  const context = config.contexts.find(({ user }) => user === name);
  return config.clusters.find((cluster) => cluster.name === context?.cluster);
}

const written = z.object({
  users: z
    .array(z.object({ name: z.string(), user: z.object({ tokenFile: z.string().optional() }).nullish() }))
    .nullish(),
});
const execOfUser = z.object({
  apiVersion: z.string().optional(),
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
});
/** Marks our own plugins: the package would start a hanging program again and again. */
const pluginMark = 'myelin-plugin';
const markedPlugin = z.object({ name: z.literal(pluginMark), config: z.object({ plugin: z.custom<Plugin>() }) });

/** Adds what the package leaves out: `tokenFile`, relative commands, and the cluster's data for plugins. */
function completed(user: User, text: unknown, folder: string, cluster: Cluster | undefined): User {
  const users = written.safeParse(text).data?.users ?? [];
  const tokenFile = users.find(({ name }) => name === user.name)?.user?.tokenFile;
  // A token beside it has precedence, as with kubectl.
  if (tokenFile !== undefined && user.token === undefined)
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } } };
  const found = execOfUser.safeParse(user.exec).data;
  if (found === undefined) return user;
  const { command, args, env } = found;
  const info = {
    apiVersion: found.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: { interactive: false, ...(cluster === undefined ? {} : { cluster: clusterInfo(cluster) }) },
  };
  const plugin: Plugin = {
    command: command.includes('/') && !isAbsolute(command) ? join(folder, command) : command,
    args: args ?? [],
    env: {
      ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
  };
  const { exec: _, ...rest } = user;
  return { ...rest, authProvider: { name: pluginMark, config: { plugin } } };
}

function pluginOf(user: User | null): Plugin | null {
  const provider: unknown = user?.authProvider;
  // A token beside it has precedence, as with kubectl.
  if (user?.token !== undefined) return null;
  return markedPlugin.safeParse(provider).data?.config.plugin ?? null;
}

function prove(options: RequestOptions, { token, clientCertificateData, clientKeyData }: Proof): void {
  if (token !== undefined) options.headers = { ...options.headers, Authorization: `Bearer ${token}` };
  if (clientCertificateData !== undefined) options.cert = clientCertificateData;
  if (clientKeyData !== undefined) options.key = clientKeyData;
}

function clusterInfo({ server, caData, tlsServerName, skipTLSVerify }: Cluster): object {
  return {
    server,
    ...(caData === undefined ? {} : { 'certificate-authority-data': caData }),
    ...(tlsServerName === undefined ? {} : { 'tls-server-name': tlsServerName }),
    ...(skipTLSVerify ? { 'insecure-skip-tls-verify': true } : {}),
  };
}

async function loadPod(config: KubeConfig, env: NodeJS.ProcessEnv, folder: string): Promise<void> {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = env;
  const tokenFile = join(folder, 'token');
  const namespace = await readFile(join(folder, 'namespace'), 'utf8').catch((cause: unknown) => {
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot read the pod’s service account in ${folder}`, {
      cause,
      remedy: 'let the pod mount its service account token (automountServiceAccountToken), or set `kubeconfig`',
    });
  });
  const name = 'pod';
  config.loadFromOptions({
    clusters: [
      {
        name,
        server: `https://${hostPort(host, port)}`,
        caFile: join(folder, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    users: [{ name, authProvider: { name: 'tokenFile', config: { tokenFile } } }],
    contexts: [{ name, cluster: name, user: name, namespace: namespace.trim() }],
    currentContext: name,
  });
}

function clusterOf(config: KubeConfig): Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster !== null) return cluster;
  throw new AppError(
    'MYELIN_SOURCE_FAILED',
    `the context ${JSON.stringify(config.getCurrentContext())} names a cluster that the kubeconfig does not have`,
  );
}

/** The package's own words, with what they are about. */
async function within(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const patience = new AbortController();
  const late = (): void => patience.abort(new Error(`no answer within ${credentialTimeoutMs / 1000} s`));
  const timer = setTimeout(late, credentialTimeoutMs);
  try {
    await untilAborted(untilAborted(work, patience.signal), signal);
  } catch (error) {
    const why = describe(error).replace(/\s+/g, ' ').trim();
    throw new AppError('MYELIN_SOURCE_FAILED', `no credentials for the Kubernetes API: ${why}`);
  } finally {
    clearTimeout(timer);
  }
}

/** Rejects with its reason as soon as `signal` aborts. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, ended]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
