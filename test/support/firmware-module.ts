import { readFileSync } from 'node:fs';
import type { Firmware as ProcessorFirmware } from '../../src/processor/firmware.ts';

const FIRMWARE = new URL('../../dist/firmware/heddle.wasm', import.meta.url);

/** Exports of dist/firmware/heddle.wasm: those for the processor, and those for tests. */
export interface Firmware extends ProcessorFirmware {
  copy(to: number, from: number, length: number): void;
  flowHash(header: number, length: number): number;
  checksum(address: number, length: number): number;
  learn(address: bigint, vf: number, target: bigint): void;
  lookup(address: bigint): number;
}

let module: WebAssembly.Module | null = null;

/** The firmware's module, compiled once for all tests of a file. */
export function firmwareModule(): WebAssembly.Module {
  module ??= new WebAssembly.Module(readFileSync(FIRMWARE));
  return module;
}
