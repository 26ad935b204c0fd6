// The checks of a configuration that need this machine: whether the directories of its sockets and
// traces exist.

import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type OperatorError, operatorError } from '../errors.ts';
import { type KeyPath, keyText, type Locate } from './problems.ts';
import type { NicConfig } from './types.ts';

export function missingDirectories(config: NicConfig, locate: Locate): OperatorError[] {
  return pathsOf(config).flatMap(({ key, path }) => {
    if (!isMissing(dirname(path))) return [];
    const parameters = { key: keyText(key, 'the NIC'), received: path };
    return [
      operatorError('HEDDLE_CONFIG_DIRECTORY', { where: locate(key, 'value'), ...parameters }),
    ];
  });
}

/**
 * A directory that this user may not look into is not reported: the NIC may run as another user.
 */
function isMissing(directory: string): boolean {
  try {
    return !statSync(directory).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
  }
}

function pathsOf({ control, vfs, uplinks, rngs }: NicConfig): { key: KeyPath; path: string }[] {
  const given: [KeyPath, string | undefined][] = [
    [['control'], control],
    ...vfs.map(({ socket }, i): [KeyPath, string] => [['vfs', i, 'socket'], socket]),
    ...rngs.map(({ socket }, i): [KeyPath, string] => [['rngs', i, 'socket'], socket]),
    ...uplinks.flatMap((uplink, i): [KeyPath, string | undefined][] => [
      [['uplinks', i, 'socket'], 'socket' in uplink ? uplink.socket : undefined],
      [['uplinks', i, 'trace'], uplink.trace],
    ]),
  ];
  return given.flatMap(([key, path]) => (path === undefined ? [] : [{ key, path }]));
}
