// Limits that the kernel sets for this process. If they cannot be read (no /proc), there is none.
import { readFileSync } from 'node:fs';

/** A soft limit as proc(5)'s `limits` names it; Infinity if there is none. */
export function processLimit(
  name: 'Max address space' | 'Max open files' | 'Max locked memory',
): number {
  const line = readIfThere('/proc/self/limits')
    .split('\n')
    .find((text) => text.startsWith(name));
  const [soft = ''] = line?.slice(name.length).trim().split(/\s+/) ?? [];
  return /^\d+$/.test(soft) ? Number(soft) : Infinity;
}

/** The most mappings a process may have: vm.max_map_count. */
export function mapCountMax(): number {
  const text = readIfThere('/proc/sys/vm/max_map_count').trim();
  return /^\d+$/.test(text) ? Number(text) : Infinity;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
