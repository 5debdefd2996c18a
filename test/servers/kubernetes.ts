/**
 * A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager on loopback, found or built,
 * with the few calls of its API that tests need. There are no nodes: the status of pods is written by the test, and the
 * controllers make EndpointSlices of that.
 */
import { createSign, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { runCommand } from '../../src/lib/command.ts';
import { freePort, tempFolder, until } from '../support/index.ts';
import { kubeconfigText, watcherRules } from '../support/kubernetes/kubeconfig.ts';
import { lastOutput, startChild } from '../support/machine/child.ts';
import { debianProgram } from './debian.ts';
import { inPath } from './executable.ts';
import { goProgram } from './go-program.ts';
import { provided } from './provided.ts';

/**
 * Of Kubernetes: KUBERNETES_BIN (a folder), PATH, the cache, else a build with Go (about eight minutes the first time).
 * Of etcd: ETCD_BIN, PATH, else Debian's package.
 */
const binaries = {
  'kube-apiserver': provided('kube-apiserver', () => kubernetesBinary('kube-apiserver')),
  'kube-controller-manager': provided('kube-controller-manager', () => kubernetesBinary('kube-controller-manager')),
  etcd: provided('etcd', () => etcdBinary()),
};

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Cluster = AsyncDisposable & {
  /** `https://127.0.0.1:PORT` */
  readonly address: string;
  readonly caFile: string;
  /** A token that may do all. */
  readonly adminToken: string;
  /** As the administrator, or by another token; a body of PATCH is merged. Throws on anything but 2xx, with the status as `cause`. */
  api(method: Method, path: string, body?: unknown, token?: string): Promise<unknown>;
  /** A new namespace in which the service account `myelin` may read Services and EndpointSlices, and nothing else. */
  namespace(name: string): Promise<void>;
  /** A token of that service account. The API server gives out none that holds for less than ten minutes. */
  token(namespace: string, seconds?: number): Promise<string>;
  /** Writes a key and a client certificate of the user `system:serviceaccount:NAMESPACE:myelin`. */
  clientCertificate(namespace: string, keyFile: string, certFile: string): Promise<void>;
  /** Takes rights from that service account, or gives them back. */
  setRules(namespace: string, rules: readonly object[]): Promise<void>;
  stopApiserver(): Promise<void>;
  startApiserver(): Promise<void>;
  /** Forgets all of etcd's history: watches that are behind are too old from now on. */
  compact(): Promise<void>;
};

const adminToken = 'administrator';
const shortestToken = 600;
/** For so long the API server takes a token that has expired. */
const leewaySeconds = 60;
const roles = '/apis/rbac.authorization.k8s.io/v1/namespaces';

/** Without `controllers` nobody makes EndpointSlices of pods, and nobody but the test takes part. */
export async function startKubernetes({ controllers = true } = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder()).path;
  const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const address = `https://127.0.0.1:${port}`;
  const etcd = `http://127.0.0.1:${etcdPort}`;
  const file = (name: string): string => join(folder, name);
  await writeKeys(folder);
  await openssl([
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    'rsa:2048',
    '-days',
    '30',
    '-subj',
    '/CN=clients',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
  ]);
  await writeFile(file('tokens.csv'), `${adminToken},admin,admin,system:masters\n`);
  await writeFile(file('manager.yaml'), kubeconfigText(address, { token: adminToken }));

  const start = async (program: keyof typeof binaries, args: readonly string[]) =>
    startProgram(await binaries[program](), args, file(`${program}.log`));
  const apiserver = (): Promise<Program> =>
    start('kube-apiserver', [
      ...[`--etcd-servers=${etcd}`, '--bind-address=127.0.0.1', `--secure-port=${port}`, `--cert-dir=${file('certs')}`],
      // Loopback is not allowed here; nothing is ever sent to it.
      ...[
        '--advertise-address=192.0.2.1',
        '--endpoint-reconciler-type=none',
        '--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112',
      ],
      ...[`--token-auth-file=${file('tokens.csv')}`, '--authorization-mode=RBAC', '--shutdown-delay-duration=0s'],
      ...['--service-account-issuer=https://kubernetes.test', `--service-account-signing-key-file=${file('sa.key')}`],
      `--service-account-key-file=${file('sa.pub')}`,
      `--client-ca-file=${file('ca.crt')}`,
      // Not the tests' subject, and each costs time at the start.
      '--disable-admission-plugins=ServiceAccount',
    ]);
  const call = await caller(address);
  const ready = async (): Promise<true> => {
    await call('GET', '/readyz', adminToken);
    return true;
  };

  stack.use(
    await start('etcd', [
      ...[`--data-dir=${file('etcd')}`, `--listen-client-urls=${etcd}`, `--advertise-client-urls=${etcd}`],
      ...[`--listen-peer-urls=http://127.0.0.1:${peerPort}`, '--unsafe-no-fsync', '--log-level=error'],
    ]),
  );
  let running = await apiserver();
  stack.defer(() => running[Symbol.asyncDispose]());
  await running.until('the API server is ready', ready);
  if (controllers)
    stack.use(
      await start('kube-controller-manager', [
        ...[`--kubeconfig=${file('manager.yaml')}`, '--leader-elect=false', '--secure-port=0'],
        ...[
          '--controllers=endpointslice-controller,garbage-collector-controller',
          '--use-service-account-credentials=false',
        ],
      ]),
    );
  const caFile = file('certs/apiserver.crt');
  const api: Cluster['api'] = (method, path, body, token = adminToken) => call(method, path, token, body);
  const alive = stack.move();
  return {
    address,
    caFile,
    adminToken,
    api,
    async namespace(name) {
      const metadata = { name: 'myelin' };
      await api('POST', '/api/v1/namespaces', { metadata: { name } });
      await api('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata });
      await api('POST', `${roles}/${name}/roles`, { metadata, rules: watcherRules });
      await api('POST', `${roles}/${name}/rolebindings`, {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'myelin' },
        subjects: [{ kind: 'ServiceAccount', name: 'myelin', namespace: name }],
      });
    },
    async token(namespace, seconds = shortestToken) {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/myelin/token`;
      const expirationSeconds = Math.max(seconds, shortestToken);
      const made = (await api('POST', path, { spec: { expirationSeconds } })) as { status: { token: string } };
      const { token } = made.status;
      return seconds < shortestToken ? shortened(token, seconds, await readFile(file('sa.key'), 'utf8')) : token;
    },
    async clientCertificate(namespace, keyFile, certFile) {
      const subject = `/CN=system:serviceaccount:${namespace}:myelin`;
      const csr = file(`${namespace}.csr`);
      await openssl(['req', '-nodes', '-newkey', 'rsa:2048', '-subj', subject, '-keyout', keyFile, '-out', csr]);
      const authority = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'];
      await openssl(['x509', '-req', '-days', '30', ...authority, '-in', csr, '-out', certFile]);
    },
    async setRules(namespace, rules) {
      await api('PUT', `${roles}/${namespace}/roles/myelin`, { metadata: { name: 'myelin' }, rules });
    },
    async stopApiserver() {
      await running[Symbol.asyncDispose]();
    },
    async startApiserver() {
      running = await apiserver();
      await running.until('the API server is ready again', ready);
    },
    async compact() {
      const post = async (path: string, body: object): Promise<unknown> =>
        (await fetch(`${etcd}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })).json();
      const { header } = (await post('maintenance/status', {})) as { header: { revision: string } };
      await post('kv/compaction', { revision: header.revision, physical: true });
    },
    [Symbol.asyncDispose]: () => alive.disposeAsync(),
  };
}

/** The same token, signed anew by the key of the API server for another time. */
function shortened(token: string, seconds: number, key: string): string {
  const [header = '', payload = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as object;
  const exp = Math.floor(Date.now() / 1000) + seconds - leewaySeconds;
  const content = `${header}.${Buffer.from(JSON.stringify({ ...claims, exp })).toString('base64url')}`;
  return `${content}.${createSign('RSA-SHA256').update(content).sign(key, 'base64url')}`;
}

type Program = AsyncDisposable & {
  /** As `until`, and fails as soon as the program ends. */
  until(what: string, probe: () => Promise<true>): Promise<void>;
};

async function startProgram(path: string, args: readonly string[], logFile: string): Promise<Program> {
  const child = await startChild([path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = lastOutput(child.process);
  return {
    async until(what, probe) {
      try {
        await until(what, () => child.hasEnded() || probe(), { withinMs: 90_000, everyMs: 50 });
      } catch (cause) {
        throw new Error(`${path} did not get ready\n${output()}`, { cause });
      }
      if (child.hasEnded()) throw new Error(`${path} ended\n${output()}`);
    },
    async [Symbol.asyncDispose]() {
      await writeFile(logFile, output());
      await child.kill();
    },
  };
}

async function openssl(args: readonly string[]): Promise<void> {
  const { status, stderr } = await runCommand(['openssl', ...args], { timeoutMs: 30_000 });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
}

async function writeKeys(folder: string): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  await writeFile(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

async function caller(address: string) {
  // Its certificate is made at its first start; only the test's own calls do not verify it.
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false, timeout: 4000 });
  return async (method: Method, path: string, token: string, body?: unknown): Promise<unknown> => {
    const content = body === undefined ? '' : JSON.stringify(body);
    const sent = request(`${address}${path}`, {
      agent,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'content-length': Buffer.byteLength(content),
        ...(body === undefined
          ? {}
          : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
      },
      signal: AbortSignal.timeout(20_000),
    });
    sent.end(content);
    const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    const text = (await response.setEncoding('utf8').toArray()).join('');
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: HTTP ${status} ${text}`, { cause: status });
    return path === '/readyz' ? text : JSON.parse(text);
  };
}

function kubernetesBinary(name: 'kube-apiserver' | 'kube-controller-manager'): Promise<string> {
  return goProgram({
    name,
    variable: 'KUBERNETES_BIN',
    isInFolder: true,
    module: 'kubernetes',
    cache: 'kubernetes-1.36.3',
    package: `k8s.io/kubernetes/cmd/${name}`,
    takes: 'several minutes',
  });
}

async function etcdBinary(): Promise<string> {
  const { ETCD_BIN } = process.env;
  if (ETCD_BIN !== undefined) return ETCD_BIN;
  const found = await inPath('etcd');
  if (found !== null) return found;
  try {
    return await debianProgram({ suite: 'bookworm', package: 'etcd-server', path: 'usr/bin/etcd' });
  } catch (cause) {
    throw new Error(
      'etcd is needed for the tests and could not be unpacked from Debian’s packages. Install it (on Debian: apt-get ' +
        'install etcd-server), put it into PATH, or name it by ETCD_BIN.',
      { cause },
    );
  }
}
