// What Heddle needs from Node and the CPU, checked before anything else is loaded.

import { operatorError } from '../errors.ts';

const NODE_VERSION_MIN: readonly [number, number] = [20, 19];

/** The smallest module with SIMD: (func (result v128) (i8x16.splat (i32.const 0))). */
const SIMD_MODULE = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type: () → v128
  ...[0x03, 0x02, 0x01, 0x00], // function 0 has type 0
  ...[0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b], // code
]);

export interface Runtime {
  nodeVersion: string;
  cpu: string;
  hasSimd: boolean;
}

export function currentRuntime(): Runtime {
  const hasSimd = WebAssembly.validate(SIMD_MODULE);
  return { nodeVersion: process.versions.node, cpu: process.arch, hasSimd };
}

export function checkRuntime(runtime: Runtime): void {
  const [major = 0, minor = 0] = runtime.nodeVersion.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  if (major < majorMin || (major === majorMin && minor < minorMin)) {
    throw operatorError('HEDDLE_NODE_VERSION', {
      wanted: NODE_VERSION_MIN.join('.'),
      version: runtime.nodeVersion,
    });
  }
  if (!runtime.hasSimd) throw operatorError('HEDDLE_CPU_NO_SIMD', { cpu: runtime.cpu });
}
