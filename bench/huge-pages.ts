// Huge pages for DPDK: the generator and the C peers use them. Heddle needs none.

import { readFileSync, writeFileSync } from 'node:fs';
import { releaseAtExit } from './resources.ts';

const setting = '/proc/sys/vm/nr_hugepages';
const pageKiBExpected = 2048;
/** Two processes of 512 MiB, with room for rounding: the next peer and its load. */
const pagesNeeded = 640;
const pagesReserved = 1024;
/**
 * Attempts to set the number: a signal to this process, such as SIGCHLD, ends the kernel's search
 * early and without an error (set_max_huge_pages).
 */
const asksMax = 10;

/** The setting before this process changed it; null: it has not. */
let pagesBefore: number | null = null;

/**
 * Ensures that enough huge pages are free, and restores the setting at exit. Called before every
 * start of a peer: other processes change the same setting and may take pages away.
 */
export function reserveHugePages(): void {
  const { free, total } = readHugePages();
  if (free >= pagesNeeded) return;
  const wanted = total - free + pagesReserved;
  try {
    for (let ask = 0; ask < asksMax && readHugePages().total < wanted; ask += 1) {
      writeFileSync(setting, String(wanted));
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot reserve huge pages as this user: ${free} are free. ${hint}\n${reason}`);
  }
  // Pages in use then stay as surplus pages, which the kernel frees with their user.
  if (pagesBefore === null) {
    pagesBefore = total;
    releaseAtExit(() => writeFileSync(setting, String(total)));
  }
  const after = readHugePages();
  if (after.free < pagesNeeded) {
    throw new Error(
      `Cannot reserve huge pages: requested ${wanted}, the kernel has ${after.total}, ` +
        `${after.free} are free, ${pagesNeeded} are needed. Memory is short or fragmented.`,
    );
  }
}

const hint = `DPDK needs ${pagesNeeded}: echo ${pagesReserved} | sudo tee ${setting}`;

function readHugePages(): { total: number; free: number } {
  const info = readFileSync('/proc/meminfo', 'utf8');
  const read = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const pageKiB = read('Hugepagesize');
  if (pageKiB !== pageKiBExpected) {
    throw new Error(`Cannot use huge pages of ${pageKiB} KiB: the benchmark supports only 2 MiB.`);
  }
  return { total: read('HugePages_Total'), free: read('HugePages_Free') };
}
