/**
 * `npm run package [-- FOLDER]`: builds the package and packs it into FOLDER (default: `artifacts`), as it is published and
 * as `npm install --global FILE` takes it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import './build.ts';

const [folder = 'artifacts'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
process.exit(spawnSync('npm', ['pack', '--silent', '--pack-destination', folder], { stdio: 'inherit' }).status ?? 1);
