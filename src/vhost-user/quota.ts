import { operatorError } from '../errors.ts';
import type { Device } from './device.ts';

/**
 * Throws an OperatorError if a front-end may not leave so many descriptors with us: one must not
 * take those of all others.
 */
export function checkQuota({ name, descriptorQuota: limit }: Device, count: number): void {
  if (count <= limit) return;
  throw operatorError('HEDDLE_DESCRIPTOR_SHARE', { vf: name, limit, received: count });
}
