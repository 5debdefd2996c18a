/** `print-config.ts SHAPE`: the myelin.yaml of a pod of this shape, with a file as its source, for images.sh. */
import { configIn, objects, shapes } from '../support/kubernetes/chart.ts';

const shape = shapes.find((each) => each === process.argv[2]);
if (shape === undefined) throw new Error(`usage: print-config.ts ${shapes.join('|')}`);
const services = { web: { bind: '*:8080' } };
const config = { watchers: { file: { path: './services.yaml' } }, services };
process.stdout.write(configIn(await objects({ shape, config })));
