// Shared by the commands that print how a machine attaches to a VF.

import { InvalidArgumentError, Option } from 'commander';
import { operatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import { type ControlOptions, clientOf } from './options.ts';

export interface AttachOptions extends ControlOptions {
  config?: string;
  memory: string;
  json?: true;
}

export function memoryOption(): Option {
  return new Option('--memory <size>', 'memory of the VM: 512M, 4G; a plain number is MiB')
    .argParser(memorySize)
    .default('1G');
}

/** With its unit: for a plain number QEMU assumes MiB after -m, and bytes in a memory back end. */
function memorySize(text: string): string {
  const [, number, unit] = /^([1-9]\d{0,8})([KMGT]?)$/i.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('Give a size such as 512M or 4G.');
  return `${number}${unit?.toUpperCase() || 'M'}`;
}

/** From the given file, or from the running NIC. */
export async function findVf(name: string, options: AttachOptions): Promise<VfConfig> {
  if (options.config === undefined) return clientOf(options).vf(name);
  const { loadConfig } = await import('../config/load.ts');
  const vf = loadConfig(options.config).vfs.find((candidate) => candidate.name === name);
  if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
  return vf;
}
