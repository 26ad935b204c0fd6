import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from './constants.ts';
import { c, errno } from './libc.ts';
import { errorName, SystemError } from './system-error.ts';

const WASM_PAGE_SIZE = 65536;

/** Part of a memory is unmapped for good: the kernel could map anything of this process there. */
export class LinearMemoryHole extends Error {
  constructor(offset: number, length: number, error: number) {
    super(`a hole in the linear memory, ${offset}+${length}: mmap failed: ${errorName(error)}`);
    this.name = 'LinearMemoryHole';
  }
}

/**
 * A WebAssembly memory at a known address, so that files can be mapped into it.
 *
 *     file ──mmap(MAP_FIXED)──► [ … base + offset … ] ◄── firmware, DataView
 *
 * It never grows: growth could move it and detach every view.
 *
 * `isShared`: for a short-lived memory that no firmware imports. V8 counts the bytes of an
 * ArrayBuffer, mapped or not, towards its next garbage collection, and collects for every 64 MiB
 * of them; it does not count those of a SharedArrayBuffer.
 */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  /** Absolute address of offset 0. */
  readonly base: number;
  readonly sizeBytes: number;

  constructor(sizeBytes: number, { isShared = false } = {}) {
    const pages = Math.ceil(sizeBytes / WASM_PAGE_SIZE);
    this.memory = createMemory(pages, isShared);
    this.buffer = this.memory.buffer as ArrayBuffer;
    this.sizeBytes = pages * WASM_PAGE_SIZE;
    // A call that only returns its pointer: the portable way to get the address.
    this.base = c.memset(new Uint8Array(this.buffer, 0, 1), 0, 0);
  }

  /**
   * Maps `length` bytes of a file, starting at `fileOffset`, at `offset`. Writes are shared. Throws
   * a SystemError if the kernel refuses the file; the range is then as `unmap` leaves it.
   */
  map(offset: number, length: number, fd: number, fileOffset: number): void {
    this.#check(offset, length);
    const flags = MAP_SHARED | MAP_FIXED;
    const at = this.base + offset;
    if (c.mmap(at, length, PROT_READ | PROT_WRITE, flags, fd, fileOffset) !== -1) return;
    const error = new SystemError('mmap', errno());
    // MAP_FIXED may have removed the old mapping before it failed.
    this.unmap(offset, length);
    throw error;
  }

  /**
   * Unmaps a range, so that an access to it traps. Throws a LinearMemoryHole if that fails: then
   * this memory must not be used any more.
   */
  unmap(offset: number, length: number): void {
    this.#check(offset, length);
    const flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE;
    if (c.mmap(this.base + offset, length, PROT_NONE, flags, -1, 0) !== -1) return;
    throw new LinearMemoryHole(offset, length, errno());
  }

  #check(offset: number, length: number): void {
    // MAP_FIXED outside the memory would overwrite the process. That would be our bug: assert.
    if (!(offset >= 0 && length > 0 && offset + length <= this.sizeBytes)) {
      throw new Error(`assertion: mapping ${offset}+${length} outside of ${this.sizeBytes} bytes`);
    }
  }
}

/** V8 reserves about 10 GiB of addresses per memory, so that accesses need no bounds check. */
function createMemory(pages: number, shared: boolean): WebAssembly.Memory {
  const descriptor = { initial: pages, maximum: pages, shared };
  try {
    return new WebAssembly.Memory(descriptor);
  } catch (cause) {
    const error = new Error(`no room for a memory of ${pages} pages`, { cause });
    throw Object.assign(error, { code: 'HEDDLE_ADDRESS_SPACE' });
  }
}
