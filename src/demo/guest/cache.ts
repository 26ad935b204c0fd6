import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where files are kept that can be rebuilt: `.cache` in a checkout, else the user's cache. */
export function cacheDirectory(): string {
  const checkout = checkoutDirectory();
  if (checkout !== undefined) return join(checkout, '.cache');
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'heddle');
}

/** The project's directory, if this runs from a checkout that is writable. */
function checkoutDirectory(): string | undefined {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    if (directory === dirname(directory)) return undefined;
    directory = dirname(directory);
  }
  const isCheckout = existsSync(join(directory, 'tsconfig.json')); // The package ships only dist/.
  return isCheckout && isWritable(directory) ? directory : undefined;
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
