import { readdirSync } from 'node:fs';
import { awaitCloses } from '../../src/os/closer.ts';

/**
 * How many descriptors this process holds: what a test opened and nobody closed shows as a
 * difference.
 */
export function openFdCount(): number {
  // The listing holds a descriptor of its own while it lasts, the same each time.
  awaitCloses();
  return readdirSync('/proc/self/fd').length;
}
