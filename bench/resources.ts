// What must be undone however the benchmark ends: children, temporary directories, huge pages.
//
// Every release is synchronous, so that one `exit` hook covers a normal end, an exception and a
// signal. Owners stop children in an orderly way (SIGTERM, then waiting); this is the fallback.

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const releases: (() => void)[] = [];

/** Registers what to undo at exit. Returns a function that unregisters it. */
export function releaseAtExit(release: () => void): () => void {
  releases.push(release);
  return () => {
    const index = releases.indexOf(release);
    if (index >= 0) releases.splice(index, 1);
  };
}

/** Makes signals end the process through its `exit` hook. Call it once, first. */
export function installExitHooks(): void {
  process.on('exit', () => {
    // Newest first: a child is stopped before the directory with its sockets is removed.
    for (const release of releases.splice(0).reverse()) {
      try {
        release();
      } catch (error) {
        process.stderr.write(`bench: clean-up failed: ${String(error)}\n`);
      }
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

/** Short, because the path of a Unix socket has at most 107 bytes. */
export function makeTemporaryDirectory(purpose: string): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), `hb-${purpose}-`));
  const erase = () => rmSync(path, { recursive: true, force: true });
  const forget = releaseAtExit(erase);
  return {
    path,
    remove() {
      erase();
      forget();
    },
  };
}
