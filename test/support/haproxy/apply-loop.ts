/** A Myelin reduced to its apply stage, to be killed: reloads over and over between two configs until it is. */
import { never, reload, rendered, setup } from './apply.ts';

const [folder = '', bind = ''] = process.argv.slice(2);
const my = await setup(folder);
const control = await my.open();
process.stdout.write('ready\n');
for (let round = 0; ; round++) {
  const outcome = await control.apply(rendered(my, [{ name: round % 2 ? 'odd' : 'even', bind }]), reload, never);
  process.stdout.write(outcome.kind === 'applied' ? '.' : `${JSON.stringify(outcome)}\n`);
}
