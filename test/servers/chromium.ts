/** Provides Chromium for tests of the page and its screenshots: from this machine where it is there, else from Debian's packages. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianProgram } from './debian.ts';
import { inPath } from './executable.ts';
import { provided } from './provided.ts';

/** Path of its executable: CHROMIUM_BIN, PATH, cache, Debian's packages; whichever is first. */
export const chromiumBinary = provided('Chromium', async () => {
  const found = process.env.CHROMIUM_BIN ?? (await inPath('chromium')) ?? (await inPath('google-chrome'));
  if (found !== null) return found;
  try {
    return await debianProgram({
      suite: 'bookworm',
      package: 'chromium',
      path: 'usr/lib/chromium/chromium',
      with: ['chromium-common', 'fonts-inter', 'fonts-jetbrains-mono'],
      runsItself: true,
      env: (root) => ({ FONTCONFIG_FILE: fontsOf(root) }),
    });
  } catch (cause) {
    throw new Error(
      "Chromium is needed for the tests of the page and could not be unpacked from Debian's packages. Install it " +
        '(on Debian: apt-get install chromium), or name its executable by CHROMIUM_BIN.',
      { cause },
    );
  }
});

/** Pages look the same on every machine: the fonts are those of the packages, whatever the machine has. */
function fontsOf(root: string): string {
  const path = join(root, 'fonts.conf');
  const alias = (family: string, font: string): string =>
    `<alias binding="same"><family>${family}</family><prefer><family>${font}</family></prefer></alias>`;
  const lines = [
    '<?xml version="1.0"?>',
    '<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">',
    `<fontconfig><dir>${join(root, 'usr/share/fonts')}</dir><cachedir>${join(root, 'fonts-cache')}</cachedir>`,
    ...['sans-serif', 'system-ui', 'serif'].map((family) => alias(family, 'Inter')),
    ...['monospace', 'ui-monospace'].map((family) => alias(family, 'JetBrains Mono')),
    '</fontconfig>',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
