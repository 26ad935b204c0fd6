import { operatorError } from '../errors.ts';
import type { Device } from './device.ts';

/**
 * Throws an OperatorError if a front-end may not leave this many descriptors with us: one front-end
 * must not use up those of all others.
 */
export function checkQuota({ name, descriptorQuota: limit }: Device, count: number): void {
  if (count <= limit) return;
  throw operatorError('HEDDLE_DESCRIPTOR_SHARE', { vf: name, limit, received: count });
}
