import type { NicConfig } from './types.ts';

/**
 * The configuration after the file is read again: what the file says, plus what was added to the
 * running NIC in other ways. `before` is what the file said last time: what has disappeared from it
 * is removed.
 */
export function withAdded(file: NicConfig, before: NicConfig, running: NicConfig): NicConfig {
  const known = [file, before].flatMap(({ groups, vfs, uplinks, rngs }) => [
    ...groups,
    ...vfs,
    ...uplinks,
    ...rngs,
  ]);
  const names = new Set(known.map(({ name }) => name));
  const isAdded = ({ name }: { name: string }): boolean => !names.has(name);
  return {
    ...file,
    groups: [...file.groups, ...running.groups.filter(isAdded)],
    vfs: [...file.vfs, ...running.vfs.filter(isAdded)],
    uplinks: [...file.uplinks, ...running.uplinks.filter(isAdded)],
    rngs: [...file.rngs, ...running.rngs.filter(isAdded)],
  };
}
