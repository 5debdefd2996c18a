/**
 * Which lines of a backend may stand in a named `defaults` section instead, and mean the same there. Each of these was tried
 * on 2.6, 3.0, 3.2 and 3.4: no warning, and the same effect. What is not listed stays where it is.
 */
import { tokenise } from '../text.ts';

const keywords = setOf(
  'acl balance cookie default-server dynamic-cookie-key errorfile errorloc errorloc302 errorloc303 fullconn',
  'hash-balance-factor hash-type http-check http-error http-reuse http-send-name-header load-server-state-from-file',
  'max-keep-alive-queue mode retries retry-on source tcp-check',
);

/** By the first word, what the second may be. */
const pairs: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['compression', setOf('algo type')],
  ['timeout', setOf('check connect queue server server-fin tarpit tunnel')],
  [
    'option',
    setOf(
      'abortonclose allbackups checkcache external-check forwardfor h1-case-adjust-bogus-server http-buffer-request',
      'http-keep-alive http-no-delay http-pretend-keepalive http-restrict-req-hdr-names http-server-close httpchk httpclose',
      'independent-streams ldap-check log-health-checks mysql-check nolinger originalto persist pgsql-check',
      'prefer-last-server redis-check redispatch smtpchk splice-auto splice-request splice-response spop-check srvtcpka',
      'ssl-hello-chk tcp-check tcp-smart-connect tcpka',
    ),
  ],
  [
    'http-request',
    setOf(
      'add-header allow del-header deny disable-l7-retry redirect replace-header replace-path replace-pathq replace-uri',
      'replace-value return set-header set-log-level set-mark set-method set-nice set-path set-pathq set-query set-timeout',
      'set-tos set-uri set-var strict-mode tarpit unset-var',
    ),
  ],
  [
    'http-response',
    setOf(
      'add-header del-header deny replace-header replace-value return set-header set-log-level set-status set-var unset-var',
    ),
  ],
  ['http-after-response', setOf('add-header del-header replace-header replace-value set-header set-status set-var')],
]);

/** Whose lines hold expressions. */
const withExpressions = /^(?:acl|balance|default-server|http-.*|tcp-check)$/;

/** Expressions that use the proxy or table of the rule itself where none is named. */
const implicit =
  /\b(?:nbsrv|connslots|avg_queue|queue|(?:be|fe|srv)_\w+|sc\d?_\w+|src_\w+|table_\w+|in_table|capture|lua\.)/;

/** null: the line may be shared. Never returns values: a line may hold a password. */
export function whyNotShareable(line: string): string | null {
  const { words, isExact } = tokenise(line);
  const [first = '', second = ''] = words[0] === 'no' && words[1] === 'option' ? words.slice(1) : words;
  if (!isExact) return `a line \`${first}\` cannot be read for certain`;
  const seconds = pairs.get(first);
  if (seconds === undefined && !keywords.has(first)) return `\`${first}\` cannot be shared`;
  if (seconds?.has(second.replace(/\(.*/, '')) === false) return `\`${first} ${second}\` cannot be shared`;
  if (withExpressions.test(first) && implicit.test(line)) return `\`${first}\` refers to what it stands in`;
  return null;
}

function setOf(...words: readonly string[]): ReadonlySet<string> {
  return new Set(words.flatMap((each) => each.split(' ')));
}
