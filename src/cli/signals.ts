// What signals mean to `heddle up`.

import { isatty } from 'node:tty';

/**
 * Resolves with the signal that ends `up`: SIGTERM, SIGINT, or SIGHUP from a terminal that went
 * away. Any other SIGHUP calls `onHangup`.
 *
 * `nohup` starts a program with SIGHUP ignored, but Node takes that back before any of our code
 * runs. What remains to be seen is what else `nohup` does: none of the standard descriptors is a
 * terminal. So only a terminal that `up` was started with, and that hung up, ends it.
 */
export function watchSignals(onHangup: () => void): Promise<NodeJS.Signals> {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
    process.on('SIGHUP', () => {
      // A terminal that was hung up answers no ioctl any more, and so is none.
      if (terminals.some((fd) => !isatty(fd))) resolve('SIGHUP');
      else onHangup();
    });
  });
}
