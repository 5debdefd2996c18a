/** What each reason for a reload means, and what avoids it: for the commands and the page. docs/reference/reloads.md has the same. */
import type { ReloadCode } from '../../model.ts';

type Told = {
  readonly words: string;
  /** What spares this reload the next time. */
  readonly avoid: string;
};

export const reloadReasons: Readonly<Record<ReloadCode, Told>> = {
  first_start: {
    words: 'no HAProxy of this Myelin ran',
    avoid: 'nothing: it is a start, no reload; a restart of Myelin alone does not do it while `state` is kept',
  },
  haproxy_exited: {
    words: 'HAProxy was gone',
    avoid: 'find out what ended it: `myelin events` has its last words, the kernel’s log whether memory ran out',
  },
  binary_changed: {
    words: 'the executable of HAProxy was replaced',
    avoid: 'nothing: an upgrade needs it; upgrade when one reload is welcome',
  },
  operator_request: { words: 'an operator asked for it', avoid: 'do not run `myelin reload`: no change needs it' },
  socket_removed: {
    words: 'somebody removed the socket of the HAProxy that serves',
    avoid: 'keep what clears temporary files away from the folders of `state` and `haproxy.statsSocket`',
  },
  global_changed: {
    words: 'the `global` section changed',
    avoid: 'change `haproxy.global` and the template `global` rarely, and several lines in one edit',
  },
  defaults_changed: {
    words: 'a `defaults` section changed',
    avoid: 'change `haproxy.defaults` and the template `defaults` rarely, and several lines in one edit',
  },
  bind_changed: {
    words: 'a `bind` line changed',
    avoid: 'give services routes of a shared frontend (`frontends`, `routes`): its addresses stay',
  },
  proxy_added: {
    words: 'a frontend, backend or listen section came',
    avoid: 'use HAProxy 3.4 or later and routes of a shared frontend: a new service is then a matter of commands',
  },
  proxy_removed: {
    words: 'a frontend, backend or listen section went',
    avoid:
      'nothing in most cases: what a service leaves is tidied with the next reload, and alone where commands cannot disable it',
  },
  option_changed: {
    words: 'a line of a frontend, backend or listen section changed',
    avoid: 'make several edits at once, and narrow what discovered services may choose (`discover`)',
  },
  server_added: {
    words: 'a server came in a section whose servers commands cannot add',
    avoid: 'take the servers of a `listen` section, or of a section of your own, into a service',
  },
  server_removed: {
    words: 'a server went in a section whose servers commands cannot remove',
    avoid: 'take the servers of a `listen` section, or of a section of your own, into a service',
  },
  server_changed: {
    words: 'a `server` line changed in a way that commands cannot follow',
    avoid: 'take the servers of a `listen` section, or of a section of your own, into a service',
  },
  balance_not_dynamic: {
    words: 'the balance algorithm does not let servers change at runtime',
    avoid: 'use a dynamic one: `roundrobin`, `leastconn`, `random`, or a hash with `hash-type consistent`',
  },
  keyword_not_dynamic: {
    words: 'a running HAProxy does not take an option of the server',
    avoid: 'leave out that option, or use a HAProxy that takes it at runtime: the detail names it',
  },
  options_unproven: {
    words: 'the options of the server are new to this HAProxy',
    avoid: 'nothing: each set of options is checked once; later servers with the same come by commands',
  },
  backend_not_plain: {
    words: 'the backend has something that Myelin does not change at runtime',
    avoid: 'write it without `.if`, `${…}` and `server-template`: the detail names the line',
  },
  capability_missing: {
    words: 'this version of HAProxy cannot do it at runtime',
    avoid: 'use a newer HAProxy: the detail says what is missing, docs/reference/versions.md since when it is there',
  },
  reply_unexpected: {
    words: 'HAProxy gave an unexpected answer to a command',
    avoid: 'look at the detail; if it is no lack of memory or descriptors, please report it',
  },
  drift_unrepairable: {
    words: 'what runs was not what is wanted, and commands did not mend it',
    avoid: 'find who changes HAProxy besides Myelin; use `myelin server` for orders of your own',
  },
  map_changed: {
    words: 'a map changed in a way that commands do not carry out',
    avoid: 'nothing in most cases: the detail says what stood in the way of commands',
  },
  certificate_changed: {
    words: 'a certificate, a list of them or CA certificates changed in a way that commands cannot carry',
    avoid: 'keep the default certificate of a frontend the same file, and PEM files below 12 kB',
  },
  section_changed: {
    words: 'another section changed (userlist, peers, resolvers, …)',
    avoid: 'keep what changes often out of them: a map or a file read by HAProxy takes it at runtime',
  },
  order_changed: {
    words: 'the sections have another order',
    avoid: 'keep the order of `haproxy.sections` and of a template of your own for `haproxy.cfg`',
  },
};
