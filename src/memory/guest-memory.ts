import { HUGE_PAGE_SIZE } from '../../layout/memory.ts';
import { closePeerFd } from '../os/closer.ts';
import { descriptorName } from '../os/descriptor.ts';
import { inspectMemoryFile, isOfMemory, isOpenForBoth, isSameFile } from '../os/memory-file.ts';
import { PAGE_SIZE } from '../os/page-size.ts';

/** A range of guest RAM and its place in a file. Sizes and addresses are in bytes. */
export interface MemoryRegion {
  guestAddress: number;
  sizeBytes: number;
  /** The front-end's address of the region. Rings are named by such addresses. */
  userAddress: number;
  fd: number;
  fileOffset: number;
  pageSizeBytes: number;
  /** How often the front-end has added it. QEMU 7.2 adds it once per queue pair. */
  uses: number;
  /** Set if the region is already mapped in the pins of the one processor that uses it. */
  pinOffset?: number;
}

export interface MemoryState {
  regions: MemoryRegion[];
}

/** Why a region is refused. The words become part of the fault that the operator reads. */
export type RegionProblem =
  | 'zero size'
  | 'address or offset beyond 2^53'
  | 'overlaps another region'
  | 'not a memory file'
  | 'file is read-only'
  | 'region larger than its file'
  | 'offset not a multiple of the page size'
  | 'pages larger than 2 MiB'
  | 'memory not sealed against shrinking'
  | 'memory in huge pages'
  | 'too many regions';

/**
 * The answer to GET_MAX_MEM_SLOTS. QEMU's own limit is 509, and each region costs one descriptor.
 */
export const MEMORY_SLOTS_MAX = 509;

export interface RegionRequest {
  guestAddress: bigint;
  sizeBytes: bigint;
  userAddress: bigint;
  fileOffset: bigint;
}

/**
 * The memory of one guest as its front-end describes it: a list of regions, each a range of a file.
 * Owns the descriptors it holds.
 */
export class GuestMemory {
  #regions: MemoryRegion[] = [];
  readonly #isTrusted: () => boolean;
  readonly #pageSize: number;

  /**
   * `isTrusted`: whether the front-end may provide memory that it could take away. `pageSize`: the
   * system's page size in bytes.
   */
  constructor(isTrusted: () => boolean, pageSize = PAGE_SIZE) {
    this.#isTrusted = isTrusted;
    this.#pageSize = pageSize;
  }

  get regions(): readonly MemoryRegion[] {
    return this.#regions;
  }

  get sizeBytes(): number {
    return this.#regions.reduce((sum, region) => sum + region.sizeBytes, 0);
  }

  /**
   * Adds a region and takes over its descriptor. If the region is refused, returns the reason and
   * closes the descriptor.
   */
  add(request: RegionRequest, fd: number): RegionProblem | null {
    const foreign = this.#foreignProblem(fd);
    if (foreign !== null) {
      closePeerFd(fd);
      return foreign;
    }
    const same = this.#find(request);
    if (same !== undefined && isSameFile(same.fd, fd)) {
      same.uses += 1;
      closePeerFd(fd);
      return null;
    }
    const problem = this.#problem(request, fd);
    if (problem !== null) {
      closePeerFd(fd);
      return problem;
    }
    const facts = inspectMemoryFile(fd);
    this.#regions.push({
      guestAddress: Number(request.guestAddress),
      sizeBytes: Number(request.sizeBytes),
      userAddress: Number(request.userAddress),
      fileOffset: Number(request.fileOffset),
      fd,
      pageSizeBytes: Math.max(facts?.pageSizeBytes ?? 0, this.#pageSize),
      uses: 1,
    });
    return null;
  }

  /**
   * Gives up one use of a region. Returns null if there is no such region. The last use removes the
   * region from the list; its descriptor then belongs to the caller, who closes it once nothing
   * maps it.
   */
  take(request: RegionRequest): { region: MemoryRegion; isGone: boolean } | null {
    const region = this.#find(request);
    if (region === undefined) return null;
    region.uses -= 1;
    if (region.uses > 0) return { region, isGone: false };
    this.#regions.splice(this.#regions.indexOf(region), 1);
    return { region, isGone: true };
  }

  /** Undoes `take`. */
  putBack(region: MemoryRegion): void {
    region.uses += 1;
    this.#regions.push(region);
  }

  save(): MemoryState {
    return structuredClone({ regions: this.#regions });
  }

  /** Takes over the regions and their descriptors. They were checked when they were added. */
  restore(state: MemoryState): void {
    this.#regions = structuredClone(state.regions);
  }

  takeAll(): MemoryRegion[] {
    return this.#regions.splice(0);
  }

  /** The region that contains all of `length` bytes at a front-end address, or null. */
  findUser(address: bigint, length: number): { region: MemoryRegion; offset: number } | null {
    return this.findUserRange(address, BigInt(length));
  }

  findUserRange(address: bigint, length: bigint): { region: MemoryRegion; offset: number } | null {
    for (const region of this.#regions) {
      const offset = address - BigInt(region.userAddress);
      if (offset >= 0n && offset + length <= BigInt(region.sizeBytes)) {
        return { region, offset: Number(offset) };
      }
    }
    return null;
  }

  /** The region that contains all of `length` bytes at a guest address, or null. */
  findGuest(address: number, length: number): { region: MemoryRegion; offset: number } | null {
    for (const region of this.#regions) {
      const offset = address - region.guestAddress;
      if (offset >= 0 && offset + length <= region.sizeBytes) return { region, offset };
    }
    return null;
  }

  /**
   * Why a file that is not memory is refused. The file itself is not touched: its file system may
   * belong to the front-end (FUSE) and need not answer, neither now nor when pages are read.
   */
  #foreignProblem(fd: number): RegionProblem | null {
    if (isOfMemory(fd) || this.#isTrusted()) return null;
    const name = descriptorName(fd);
    if (!name.startsWith('/') || name.startsWith('/dev/')) return 'not a memory file';
    return isOpenForBoth(fd) ? 'memory not sealed against shrinking' : 'file is read-only';
  }

  #find(request: RegionRequest): MemoryRegion | undefined {
    return this.#regions.find(
      (region) =>
        BigInt(region.guestAddress) === request.guestAddress &&
        BigInt(region.sizeBytes) === request.sizeBytes &&
        BigInt(region.userAddress) === request.userAddress,
    );
  }

  #problem(request: RegionRequest, fd: number): RegionProblem | null {
    const { guestAddress, sizeBytes, userAddress, fileOffset } = request;
    if (this.#regions.length >= MEMORY_SLOTS_MAX) return 'too many regions';
    if (sizeBytes === 0n) return 'zero size';
    // Sums of bigints do not wrap. Below 2^53 they are exact as numbers, too.
    const ends = [guestAddress + sizeBytes, userAddress + sizeBytes, fileOffset + sizeBytes];
    if (ends.some((end) => end > BigInt(Number.MAX_SAFE_INTEGER))) {
      return 'address or offset beyond 2^53';
    }
    if (this.#regions.some((region) => overlaps(region, request))) return 'overlaps another region';
    return this.#fileProblem(fd, Number(fileOffset), Number(fileOffset + sizeBytes));
  }

  #fileProblem(fd: number, start: number, end: number): RegionProblem | null {
    const facts = inspectMemoryFile(fd);
    if (facts === null || !facts.isRegularFile) return 'not a memory file';
    if (!facts.isWritable) return 'file is read-only';
    if (end > facts.sizeBytes) return 'region larger than its file';
    if (start % this.#pageSize !== 0) return 'offset not a multiple of the page size';
    // Windows and pins are aligned to 2 MiB, so the kernel cannot map larger pages there.
    if (facts.pageSizeBytes > HUGE_PAGE_SIZE) return 'pages larger than 2 MiB';
    if (this.#isTrusted()) return null;
    // If a file shrinks under a mapping, an access raises SIGBUS, which kills the process. So does
    // a hole in huge pages when the pool is empty. No seal forbids holes, and a balloon makes them.
    if (!facts.isSealed) return 'memory not sealed against shrinking';
    if (facts.pageSizeBytes > this.#pageSize) return 'memory in huge pages';
    return null;
  }
}

function overlaps(region: MemoryRegion, request: RegionRequest): boolean {
  const covers = (a: bigint, b: bigint) =>
    a < b + request.sizeBytes && b < a + BigInt(region.sizeBytes);
  return (
    covers(BigInt(region.guestAddress), request.guestAddress) ||
    covers(BigInt(region.userAddress), request.userAddress)
  );
}
