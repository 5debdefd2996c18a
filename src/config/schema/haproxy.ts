/** `haproxy`: who starts HAProxy, where its files and sockets are, and the administrator's own lines. */
import { z } from 'zod';
import { duration, filePath, text, word } from '../../../watchers/kit/values.ts';
import { bindLine, command, lines, section, urlPath } from '../values.ts';

/** Of syslog, as HAProxy names them (doc/configuration.txt, `log`). */
const logFacilities = [
  'kern user mail daemon auth syslog lpr news uucp cron auth2 ftp ntp audit alert cron2',
  'local0 local1 local2 local3 local4 local5 local6 local7',
].flatMap((row) => row.split(' '));

export const haproxy = z
  .strictObject({
    control: z
      .enum(['process', 'master', 'command', 'none'])
      .default('process')
      .describe(
        'process: start and reload HAProxy here; master: reload one that runs elsewhere over `masterSocket`; ' +
          'command: run the commands below; none: only write the file.',
      ),
    binary: text
      .default('haproxy')
      .meta({ path: 'program' })
      .describe('The executable: a name is looked up in PATH, anything with a slash is a path.'),
    version: z
      .string()
      .regex(/^\d+\.\d+$/, 'expected a branch such as 3.0')
      .optional()
      .describe(
        'The branch of HAProxy for which the first config is written where none can be asked: none runs yet, and there is no executable here. Default: 2.2, which every later one understands.',
      ),
    config: filePath.default('./run/haproxy.cfg').describe('The file that Myelin writes. It is Myelin’s alone.'),
    statsSocket: filePath
      .default('./run/admin.sock')
      .describe(
        'HAProxy’s runtime API, for you; mode 0600. With control: process a link to the socket of the one that serves, in `state`, which takes 100 connections at once or more (`stats maxconn`). 97 bytes at most.',
      ),
    masterSocket: filePath
      .optional()
      .describe('control: master. The socket of HAProxy’s master, as given to it: `haproxy -W -S SOCKET`.'),
    checkCommand: command
      .optional()
      .describe('control: command. Must succeed before the file goes live; `{file}` is the candidate.'),
    reloadCommand: command.optional().describe('control: command. Makes HAProxy read the new file.'),
    passEnv: z
      .array(z.string().regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable'))
      .default([])
      .meta({ title: 'list of names' })
      .describe(
        'Environment variables that HAProxy and the commands above are given beside the usual ones: see below.',
      ),
    onExit: z
      .enum(['keep', 'stop'])
      .default('keep')
      .describe(
        'What becomes of HAProxy when Myelin stops: keep leaves it running, stop ends it (SIGUSR1, then SIGTERM after stopGrace).',
      ),
    stopGrace: duration.prefault('30s').describe('onExit: stop. How long connections may finish.'),
    onHang: z
      .enum(['report', 'replace'])
      .default('report')
      .describe(
        'What becomes of a HAProxy that does not answer. It cannot hand over: replace, with control: process, ends it ' +
          'after half a minute, with the connections that it has, and starts another.',
      ),
    keepFiles: z
      .boolean()
      .default(true)
      .describe(
        'Whether copies are kept of the certificates and error pages that services name, as HAProxy took them last: where ' +
          'one is broken later, its service keeps serving with the copy, and nobody waits. Private keys are among them: see below.',
      ),
    handover: filePath
      .optional()
      .describe(
        'control: process. A folder of this Myelin alone, such as /run/handover/${POD_UID}, for the processes that it starts. ' +
          'The first one takes over the listening sockets of a HAProxy whose Myelin has its folder beside it, and which ' +
          'then ends (`onExit: stop`).',
      ),
    user: word.optional().describe('HAProxy drops to this user; only where Myelin runs as root.'),
    group: word.optional().describe('And to this group.'),
    log: word
      .default('stdout')
      .describe(
        'Where traffic is logged: stdout, stderr, none, or a syslog address such as 127.0.0.1:514 or /dev/log. With control: process both outputs are Myelin’s standard error, as its standard output is its own log.',
      ),
    logFacility: z.enum(logFacilities).default('local0').describe('The facility of what goes to a syslog address.'),
    stats: z
      .strictObject({
        bind: bindLine.describe('Where it listens, in HAProxy’s bind syntax.'),
        path: urlPath.default('/').describe('Its path.'),
        lines: lines.default([]).describe('Further lines of its frontend, such as `stats auth USER:PASSWORD`.'),
      })
      .optional()
      .describe('HAProxy’s own statistics page.'),
    prometheus: z
      .strictObject({
        bind: bindLine.describe('Where it listens, in HAProxy’s bind syntax.'),
        path: urlPath.default('/metrics').describe('Its path.'),
      })
      .optional()
      .describe('HAProxy’s own Prometheus exporter.'),
    global: lines
      .default([])
      .describe('Further lines of the global section; with control: process not `master-worker`.'),
    defaults: lines
      .default([])
      .describe(
        'Further lines of the defaults section. Their `balance`, `retry-on`, log format and the `inter`, `rise` and `fall` of their `default-server` hold for each service that says nothing else.',
      ),
    sections: z
      .array(section)
      .default([])
      .describe(
        'Hand-written sections, each a block of lines; Myelin never touches their servers. What is set of them over HAProxy’s runtime API (`maint`, `drain`, a weight) outlives reloads, but neither addresses nor servers added there.',
      ),
  })
  .describe('The HAProxy that is kept in step.');
