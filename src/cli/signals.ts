// What signals mean to `heddle up`.

import { isatty } from 'node:tty';

/**
 * Resolves with the signal that ends `up`: SIGTERM, SIGINT, or SIGHUP from a terminal that closed.
 * Any other SIGHUP calls `onHangup`.
 *
 * `nohup` starts a program with SIGHUP ignored, but Node undoes that before any of our code runs.
 * What remains visible of `nohup` is that none of the standard descriptors is a terminal. So SIGHUP
 * ends `up` only if it was started with a terminal and that terminal hung up.
 */
export function watchSignals(onHangup: () => void): Promise<NodeJS.Signals> {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
    process.on('SIGHUP', () => {
      // A terminal that was hung up answers no ioctl, so isatty() is false for it.
      if (terminals.some((fd) => !isatty(fd))) resolve('SIGHUP');
      else onHangup();
    });
  });
}
