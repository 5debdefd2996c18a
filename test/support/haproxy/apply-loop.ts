/** A Myelin reduced to its apply stage, to be killed: reloads over and over between two configs and their
 * maps until it is. */
import { never, reload, rendered, setup } from './apply.ts';

const [folder = '', bind = ''] = process.argv.slice(2);
const my = await setup(folder);
const control = await my.open();
const map = `${my.file}.maps/routes.map`;
process.stdout.write('ready\n');
for (let round = 0; ; round++) {
  const name = round % 2 ? 'odd' : 'even';
  const frontend = [`use_backend %[path,map_beg(${map},${name})]`];
  const { sections } = rendered(my, [{ name, bind, frontend }]);
  const routes = { kind: 'map', name: map, text: `/ ${name}\n`, service: null };
  const outcome = await control.apply({ sections: [...sections, routes] }, reload, never);
  process.stdout.write(outcome.kind === 'applied' ? '.' : `${JSON.stringify(outcome)}\n`);
}
