// Huge pages for DPDK: both the generator and the C peers live in them. Heddle needs none.

import { readFileSync, writeFileSync } from 'node:fs';
import { releaseAtExit } from './resources.ts';

const setting = '/proc/sys/vm/nr_hugepages';
const pageKiBExpected = 2048;
/** Two processes of 512 MiB, and room for what DPDK rounds up: the next peer and its load. */
const pagesNeeded = 640;
const pagesReserved = 1024;
/**
 * Times that the kernel is asked before it is believed: a signal to this process, as its stopped
 * children cause, ends the kernel's search early and without an error (set_max_huge_pages).
 */
const asksMax = 10;

/** What the setting was before this process changed it, or null: it has not. */
let pagesBefore: number | null = null;

/**
 * Makes sure that enough are free, and gives them back at exit. Called before every start of a
 * peer: others on the machine set the same number, and an end of theirs takes pages away from us.
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
  // Whoever still uses pages then keeps them as surplus; the kernel frees them with their user.
  if (pagesBefore === null) {
    pagesBefore = total;
    releaseAtExit(() => writeFileSync(setting, String(total)));
  }
  const after = readHugePages();
  if (after.free < pagesNeeded) {
    throw new Error(
      `Cannot reserve huge pages: asked for ${wanted}, the kernel found ${after.total}, ` +
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
    throw new Error(`Cannot use huge pages of ${pageKiB} KiB: the benchmark knows 2 MiB only.`);
  }
  return { total: read('HugePages_Total'), free: read('HugePages_Free') };
}
