// What `heddle up` runs without a file.

import { runtimeDirectory } from './runtime-directory.ts';
import type { NicConfig } from './types.ts';
import { completeNic } from './validate.ts';

export function defaultConfig(directory: string = runtimeDirectory()): NicConfig {
  const vfs = ['vm1', 'vm2'].map((name) => ({ name, socket: `${directory}/${name}.sock` }));
  return completeNic({ name: 'nic0', vfs });
}
