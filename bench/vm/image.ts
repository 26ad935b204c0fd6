// The demo's guest, with Perl for requests and responses over UDP.

import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archive, file } from '../../src/demo/guest/cpio.ts';
import { guestImage } from '../../src/demo/guest/image.ts';
import type { Kernel } from '../../src/demo/guest/kernel.ts';
import { run } from '../commands.ts';

/** Essential in Debian, so it is always installed. */
const perl = '/usr/bin/perl';

/** Writes the image into a directory. The kernel unpacks concatenated archives. */
export function buildImage(kernel: Kernel, directory: string): string {
  const path = join(directory, 'guest.cpio');
  copyFileSync(guestImage(kernel), path);
  const libraries = [...run('ldd', [perl]).matchAll(/(\/\S+) \(0x/g)].map(([, name]) => name!);
  const entries = libraries.map((name) => file(name.slice(1), readFileSync(name)));
  appendFileSync(path, archive([file('bin/perl', readFileSync(perl)), ...entries]));
  return path;
}
