import { fstatSync } from 'node:fs';
import {
  F_ADD_SEALS,
  F_GET_SEALS,
  F_GETFL,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  HUGETLBFS_MAGIC,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_HUGETLB,
  O_ACCMODE,
  O_RDWR,
} from './constants.ts';
import { c } from './libc.ts';
import { PAGE_SIZE } from './page-size.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

export interface MemoryFileFacts {
  isRegularFile: boolean;
  /** Open for writing and not sealed against it: a writable shared mapping is possible. */
  isWritable: boolean;
  /** It can never shrink. */
  isSealed: boolean;
  sizeBytes: number;
  /** The system's, or hugetlbfs's huge page size. */
  pageSizeBytes: number;
}

export interface MemoryFileOptions {
  sealed?: boolean;
  hugePages?: boolean;
}

/** Creates a memfd of `sizeBytes`, sealed against shrinking unless `sealed` is false. */
export function createMemoryFile(
  name: string,
  sizeBytes: number,
  options: MemoryFileOptions = {},
): number {
  const huge = options.hugePages === true ? MFD_HUGETLB : 0;
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | huge;
  const fd = checked('memfd_create', c.memfdCreate(name, flags));
  try {
    checked('ftruncate', c.ftruncate(fd, sizeBytes));
    if (options.sealed !== false) checked('fcntl', c.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
  } catch (error) {
    c.close(fd);
    throw error;
  }
  return fd;
}

/**
 * Whether a descriptor is memory: shared memory or huge pages. Only these have seals, even if they
 * cannot be changed. Does not involve a file system, since some never answer.
 */
export function isOfMemory(fd: number): boolean {
  return c.fcntl(fd, F_GET_SEALS, 0) !== -1;
}

/** Open for reading and writing. */
export function isOpenForBoth(fd: number): boolean {
  return (c.fcntl(fd, F_GETFL, 0) & O_ACCMODE) === O_RDWR;
}

/**
 * What a descriptor that claims to be memory really is. Never throws, since a peer chose it. But it
 * may block on a file system, unless the descriptor is memory.
 */
export function inspectMemoryFile(fd: number): MemoryFileFacts | null {
  let stat: ReturnType<typeof fstatSync>;
  try {
    stat = fstatSync(fd);
  } catch {
    return null;
  }
  const answer = c.fcntl(fd, F_GET_SEALS, 0);
  const seals = answer === -1 ? 0 : answer;
  return {
    isRegularFile: stat.isFile(),
    isWritable: isOpenForBoth(fd) && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) === 0,
    isSealed: (seals & F_SEAL_SHRINK) !== 0,
    sizeBytes: stat.size,
    pageSizeBytes: pageSizeOf(fd),
  };
}

/** Whether two descriptors refer to the same file. */
export function isSameFile(a: number, b: number): boolean {
  try {
    const [first, second] = [fstatSync(a), fstatSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

/** struct statfs: f_type and f_bsize are the first two words. */
function pageSizeOf(fd: number): number {
  if (c.fstatfs(fd, scratch.address) === -1) return PAGE_SIZE;
  const type = scratch.view.getUint32(0, true);
  return type === HUGETLBFS_MAGIC ? scratch.view.getUint32(8, true) : PAGE_SIZE;
}
