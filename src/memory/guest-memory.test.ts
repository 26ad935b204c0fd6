import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { awaitCloses } from '../os/closer.ts';
import {
  F_ADD_SEALS,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_CLOEXEC,
  MFD_HUGETLB,
} from '../os/constants.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import { GuestMemory, MEMORY_SLOTS_MAX, type RegionRequest } from './guest-memory.ts';

const MIB = 0x100000n;
const directory = mkdtempSync(join(tmpdir(), 'heddle-memory-'));

let allowUnsealed = false;
let memory: GuestMemory;
let fdsBefore = 0;

function request(fields: Partial<RegionRequest> = {}): RegionRequest {
  return {
    guestAddress: 0n,
    sizeBytes: MIB,
    userAddress: 0x7f00_0000_0000n,
    fileOffset: 0n,
    ...fields,
  };
}

function file(sizeBytes = Number(2n * MIB), sealed = true): number {
  return createMemoryFile('guest', sizeBytes, { sealed });
}

beforeEach(() => {
  allowUnsealed = false;
  memory = new GuestMemory(() => allowUnsealed);
  fdsBefore = openFdCount();
});

afterEach(() => {
  for (const region of memory.takeAll()) c.close(region.fd);
  expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
});

/** Expects a refusal for this reason, which closes the descriptor and leaves nothing behind. */
function expectRefused(problem: string, fd: number, fields: Partial<RegionRequest> = {}): void {
  const regions = memory.regions.length;
  expect(memory.add(request(fields), fd)).toBe(problem);
  expect(memory.regions.length).toBe(regions);
  awaitCloses();
  expect(c.close(fd), 'the descriptor was closed').toBe(-1);
}

describe('a region', () => {
  it('is accepted with its descriptor if everything is right', () => {
    const fd = file();
    expect(memory.add(request({ guestAddress: 4n * MIB, fileOffset: MIB }), fd)).toBeNull();
    expect(memory.sizeBytes).toBe(Number(MIB));
    expect(memory.regions).toEqual([
      {
        guestAddress: Number(4n * MIB),
        sizeBytes: Number(MIB),
        userAddress: 0x7f00_0000_0000,
        fd,
        fileOffset: Number(MIB),
        pageSizeBytes: 4096,
        uses: 1,
      },
    ]);
  });

  it('of zero size is refused', () => {
    expectRefused('zero size', file(), { sizeBytes: 0n });
  });

  it('that wraps around 2^64 is refused', () => {
    const last = 2n ** 64n - 1n;
    const problem = 'address or offset beyond 2^53';
    expectRefused(problem, file(), { guestAddress: last - MIB + 2n });
    expectRefused(problem, file(), { userAddress: last - 1n });
    expectRefused(problem, file(), { fileOffset: last });
    expectRefused(problem, file(), { sizeBytes: last });
  });

  it('beyond 2^53, where numbers are not exact, is refused; just below is not', () => {
    const limit = 2n ** 53n - 1n;
    expectRefused('address or offset beyond 2^53', file(), { guestAddress: limit - MIB + 1n });
    expect(memory.add(request({ guestAddress: limit - MIB }), file())).toBeNull();
  });

  it('larger than its file is refused', () => {
    expectRefused('region larger than its file', file(), { sizeBytes: 2n * MIB + 1n });
    expectRefused('region larger than its file', file(), { fileOffset: MIB + 4096n });
  });

  it('at an offset that is not a multiple of the page size is refused', () => {
    expectRefused('offset not a multiple of the page size', file(), { fileOffset: 512n });
  });

  it('beyond the last memory slot is refused', () => {
    for (let index = 0; index < MEMORY_SLOTS_MAX; index++) {
      const at = BigInt(index) * MIB;
      expect(memory.add(request({ guestAddress: at, userAddress: at }), file())).toBeNull();
    }
    const at = BigInt(MEMORY_SLOTS_MAX) * MIB;
    expectRefused('too many regions', file(), { guestAddress: at, userAddress: at });
  });
});

describe('an overlap', () => {
  beforeEach(() => {
    expect(memory.add(request({ guestAddress: MIB, userAddress: 8n * MIB }), file())).toBeNull();
  });

  it('in guest addresses is refused', () => {
    const userAddress = 16n * MIB;
    for (const guestAddress of [MIB, 4096n, 2n * MIB - 4096n, 1n]) {
      expectRefused('overlaps another region', file(), { guestAddress, userAddress });
    }
  });

  it('in front-end addresses is refused', () => {
    const guestAddress = 16n * MIB;
    for (const userAddress of [8n * MIB, 7n * MIB + 1n, 9n * MIB - 1n]) {
      expectRefused('overlaps another region', file(), { guestAddress, userAddress });
    }
  });

  it('is refused if one region contains another; adjacent regions do not overlap', () => {
    const around = { guestAddress: 0n, sizeBytes: 3n * MIB, userAddress: 16n * MIB };
    expectRefused('overlaps another region', file(Number(4n * MIB)), around);
    expect(memory.add(request({ guestAddress: 0n, userAddress: 7n * MIB }), file())).toBeNull();
    const behind = { guestAddress: 2n * MIB, userAddress: 9n * MIB };
    expect(memory.add(request(behind), file())).toBeNull();
  });
});

describe('a file', () => {
  it('that is a device, a pipe or a socket is refused', () => {
    expectRefused('not a memory file', openSync('/dev/zero', 'r+'));
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // A file with a path is not looked at, because its file system may not answer.
    const unsealed = 'memory not sealed against shrinking';
    expectRefused(unsealed, openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
    const [ours, theirs] = createSocketPair();
    expectRefused('not a memory file', ours);
    c.close(theirs);
    expectRefused('file is read-only', openSync(directory, 'r'));
  });

  it('that is not a descriptor is refused', () => {
    expectRefused('not a memory file', -1);
    expectRefused('not a memory file', 999_999);
  });

  it('that is open read-only is refused', () => {
    const fd = file();
    const readOnly = openSync(`/proc/self/fd/${fd}`, 'r');
    expectRefused('file is read-only', readOnly);
    c.close(fd);
  });

  it('that is sealed against writing is refused, because it cannot be mapped writable', () => {
    const fd = file();
    expect(c.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)).toBe(0);
    expectRefused('file is read-only', fd);
  });

  it('that may shrink is refused, unless the VF allows it', () => {
    expectRefused('memory not sealed against shrinking', file(Number(MIB), false));
    allowUnsealed = true;
    expect(memory.add(request(), file(Number(MIB), false))).toBeNull();
  });

  it('in huge pages is refused even if it is sealed, unless the VF allows it', (context) => {
    const huge = (sealed: boolean): number => {
      const fd = c.memfdCreate('huge', MFD_CLOEXEC | 2 | MFD_HUGETLB);
      if (fd === -1) return fd;
      c.ftruncate(fd, 2 * Number(MIB));
      if (sealed) c.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
      return fd;
    };
    const fd = huge(true);
    if (fd === -1) return context.skip('this kernel has no huge pages');
    expectRefused('memory in huge pages', fd);
    expectRefused('memory not sealed against shrinking', huge(false));
    allowUnsealed = true;
    expect(memory.add(request(), huge(true))).toBeNull();
    expect(memory.regions[0]?.pageSizeBytes).toBe(2 * Number(MIB));
  });

  it.each([16384, 65536])('begins on a page boundary if system pages have %i bytes', (pageSize) => {
    const large = new GuestMemory(() => false, pageSize);
    const sizeBytes = MIB / 2n;
    const at = (fileOffset: number) => request({ sizeBytes, fileOffset: BigInt(fileOffset) });
    expect(large.add(at(4096), file())).toBe('offset not a multiple of the page size');
    expect(large.add(at(pageSize), file())).toBeNull();
    expect(large.regions[0]?.pageSizeBytes).toBe(pageSize);
    for (const { fd } of large.takeAll()) c.close(fd);
  });

  it('on a disk is refused, because it cannot be sealed', () => {
    const path = join(directory, 'disk');
    const fd = openSync(path, 'w+');
    c.ftruncate(fd, Number(MIB));
    expectRefused('memory not sealed against shrinking', fd);
    rmSync(path);
  });

  it('of 1 GiB pages is refused, because windows and pins are not aligned to that', (context) => {
    const huge1GiB = MFD_CLOEXEC | 2 | MFD_HUGETLB | (30 << 26);
    const fd = c.memfdCreate('giant', huge1GiB);
    if (fd === -1) return context.skip('this kernel has no pages of 1 GiB');
    c.ftruncate(fd, 2 ** 30);
    c.fcntl(fd, F_ADD_SEALS, 2);
    expectRefused('pages larger than 2 MiB', fd);
  });
});

describe('taking and finding', () => {
  it('finds a region by its request, and passes its descriptor to the caller', () => {
    const fd = file();
    memory.add(request(), fd);
    expect(memory.take(request({ sizeBytes: 2n * MIB }))).toBeNull();
    expect(memory.take(request({ userAddress: 1n }))).toBeNull();
    const taken = memory.take(request());
    expect(taken?.region.fd).toBe(fd);
    expect(taken?.isGone).toBe(true);
    expect(memory.regions).toEqual([]);
    memory.putBack(taken!.region);
    expect(memory.regions).toEqual([taken!.region]);
    expect(memory.take(request())?.isGone).toBe(true);
    c.close(fd); // the caller owns it now
  });

  it('counts repeated additions of a region, as from QEMU 7.2 for each queue pair', () => {
    const fd = file();
    const again = openSync(`/proc/self/fd/${fd}`, 'r+');
    const before = openFdCount();
    expect(memory.add(request(), fd)).toBeNull();
    expect(memory.add(request(), again)).toBeNull();
    expect(openFdCount(), 'the second descriptor is closed').toBe(before - 1);
    expect(memory.regions.length).toBe(1);
    expect(memory.take(request())?.isGone).toBe(false);
    expect(memory.take(request())?.isGone).toBe(true);
    expect(memory.regions).toEqual([]);
    c.close(fd);
    // The same addresses in another file are not a repetition.
    expect(memory.add(request(), file())).toBeNull();
    expectRefused('overlaps another region', file());
  });

  it('finds a range of front-end addresses, all in one region or not at all', () => {
    memory.add(request({ userAddress: 8n * MIB }), file());
    memory.add(request({ guestAddress: MIB, userAddress: 9n * MIB }), file());
    const [low, high] = memory.regions;
    expect(memory.findUser(8n * MIB, 16)).toEqual({ region: low, offset: 0 });
    expect(memory.findUser(9n * MIB - 16n, 16)).toEqual({ region: low, offset: 0xffff0 });
    expect(memory.findUser(9n * MIB - 15n, 16), 'crosses into the next region').toBeNull();
    expect(memory.findUser(9n * MIB, 16)).toEqual({ region: high, offset: 0 });
    expect(memory.findUser(8n * MIB - 1n, 16)).toBeNull();
    expect(memory.findUser(10n * MIB, 1)).toBeNull();
  });
});
