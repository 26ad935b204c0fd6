import { closeSync, openSync } from 'node:fs';
import { createEventFd } from '../../src/os/event-fd.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { createSocketPair } from '../../src/os/unix-socket.ts';
import {
  type RequestName,
  viewOf,
  writeMemoryRegion,
  writeU64,
  writeVringAddress,
  writeVringState,
} from '../../src/vhost-user/message.ts';

/** A request that must be refused. Its descriptors exist only while the case runs. */
export interface SocketCase {
  title: string;
  request: RequestName;
  payload: () => Uint8Array;
  fds?: () => number[];
  /** What the VF's last fault must say. */
  says: RegExp;
}

const MIB = 0x100000n;

interface RegionFields {
  guest?: bigint;
  size?: bigint;
  user?: bigint;
  offset?: bigint;
}

function region(fields: RegionFields): Uint8Array {
  return writeMemoryRegion({
    guestAddress: fields.guest ?? 0n,
    sizeBytes: fields.size ?? MIB,
    userAddress: fields.user ?? 0x7000_0000_0000n,
    fileOffset: fields.offset ?? 0n,
  });
}

function slot(fields: RegionFields): Uint8Array {
  const payload = new Uint8Array(40);
  payload.set(region(fields), 8);
  return payload;
}

function table(count: number, regions: Uint8Array[]): Uint8Array {
  const payload = new Uint8Array(8 + regions.length * 32);
  viewOf(payload).setUint32(0, count, true);
  regions.forEach((bytes, index) => {
    payload.set(bytes, 8 + index * 32);
  });
  return payload;
}

const memoryFile = (): number[] => [createMemoryFile('hostile', Number(MIB))];

/** SET_VRING_NUM and similar requests with a ring number beyond those of one queue pair. */
function ringNumbers(): SocketCase[] {
  const requests = [
    'SET_VRING_NUM',
    'SET_VRING_BASE',
    'GET_VRING_BASE',
    'SET_VRING_ENABLE',
  ] as const;
  const states = requests.flatMap((request) =>
    [2, 0x100, 0x10000, 0x10001, 0xffff_ffff].map((index) => ({
      title: `CVE-2020-10723, rust-vmm #212: ${request} for ring 0x${index.toString(16)}`,
      request,
      payload: () => writeVringState(index, request === 'SET_VRING_NUM' ? 256 : 0),
      says: /ring \d+, which the device does not have/,
    })),
  );
  const addresses = [2, 0x10001].map((index) => ({
    title: `CVE-2020-10723: SET_VRING_ADDR for ring 0x${index.toString(16)}`,
    request: 'SET_VRING_ADDR' as const,
    payload: () =>
      writeVringAddress({ index, flags: 0, descriptors: 0n, used: 0n, avail: 0n, log: 0n }),
    says: /ring \d+, which the device does not have/,
  }));
  const eventFds = (['SET_VRING_KICK', 'SET_VRING_CALL', 'SET_VRING_ERR'] as const).flatMap(
    (request) =>
      [2n, 0x1_0000n, 0x1_0000_0001n, 1n << 63n].map((index) => ({
        title: `CVE-2020-10723: ${request} for ring 0x${index.toString(16)}`,
        request,
        payload: () => writeU64(index),
        fds: () => [createEventFd()],
        says: /ring/,
      })),
  );
  return [...states, ...addresses, ...eventFds];
}

/** Accepted although the ring is invalid: the ring is set aside until it is corrected. */
export const WRONG_RINGS: readonly SocketCase[] = [
  ...[0, 3, 17, 65536, 0x8000_0000, 0xffff_ffff].map((size) => ({
    title: `a ring of ${size} entries`,
    request: 'SET_VRING_NUM' as const,
    payload: () => writeVringState(0, size),
    says: /queue size/,
  })),
  {
    title: 'a ring that starts at index 65536',
    request: 'SET_VRING_BASE',
    payload: () => writeVringState(0, 65536),
    says: /ring base/,
  },
  {
    title: 'a ring whose parts are not aligned',
    request: 'SET_VRING_ADDR',
    payload: () =>
      writeVringAddress({ index: 0, flags: 0, descriptors: 8n, used: 2n, avail: 1n, log: 0n }),
    says: /not aligned/,
  },
];

const RINGS: readonly SocketCase[] = [
  {
    title: 'enable neither 0 nor 1',
    request: 'SET_VRING_ENABLE',
    payload: () => writeVringState(0, 2),
    says: /enable 2/,
  },
  {
    title: 'a kick descriptor that is a socket',
    request: 'SET_VRING_KICK',
    payload: () => writeU64(0n),
    fds: () => createSocketPair(),
    says: /descriptor/,
  },
  {
    title: 'a kick descriptor that is a file',
    request: 'SET_VRING_KICK',
    payload: () => writeU64(0n),
    fds: memoryFile,
    says: /no eventfd/,
  },
  {
    title: 'a call descriptor whose writes block',
    request: 'SET_VRING_CALL',
    payload: () => writeU64(0n),
    fds: () => [openSync('/dev/zero', 'r+')],
    says: /no eventfd/,
  },
  {
    title: 'a kick descriptor that is announced but not sent',
    request: 'SET_VRING_KICK',
    payload: () => writeU64(0n),
    says: /disagree/,
  },
];

const MEMORY: readonly SocketCase[] = [
  {
    title: 'CVE-2020-10722 (memory): guest address + size wraps 2^64',
    request: 'ADD_MEM_REG',
    payload: () => slot({ guest: 0xffff_ffff_fff0_0000n, size: 2n * MIB }),
    fds: memoryFile,
    says: /beyond 2\^53/,
  },
  {
    title: 'CVE-2020-10722 (memory): file offset + size wraps 2^64',
    request: 'ADD_MEM_REG',
    payload: () => slot({ offset: 0xffff_ffff_fff0_0000n, size: 2n * MIB }),
    fds: memoryFile,
    says: /beyond 2\^53/,
  },
  {
    title: 'a region of length 0',
    request: 'ADD_MEM_REG',
    payload: () => slot({ size: 0n }),
    fds: memoryFile,
    says: /zero size/,
  },
  {
    title: 'a region larger than its file',
    request: 'ADD_MEM_REG',
    payload: () => slot({ size: MIB + 4096n }),
    fds: memoryFile,
    says: /larger than its file/,
  },
  {
    title: 'a region that starts after the end of its file',
    request: 'ADD_MEM_REG',
    payload: () => slot({ offset: 64n * MIB, size: 4096n }),
    fds: memoryFile,
    says: /larger than its file/,
  },
  {
    title: 'a region that does not start on a page of its file',
    request: 'ADD_MEM_REG',
    payload: () => slot({ offset: 100n, size: 4096n }),
    fds: memoryFile,
    says: /page size/,
  },
  {
    title: 'memory that is a socket',
    request: 'ADD_MEM_REG',
    payload: () => slot({}),
    fds: () => {
      const [kept, closed] = createSocketPair();
      closeSync(closed);
      return [kept];
    },
    says: /not a memory file/,
  },
  {
    title: 'memory that is /dev/zero',
    request: 'ADD_MEM_REG',
    payload: () => slot({}),
    fds: () => [openSync('/dev/zero', 'r+')],
    says: /not a memory file/,
  },
  {
    title: 'memory that is a directory',
    request: 'ADD_MEM_REG',
    payload: () => slot({}),
    fds: () => [openSync('/', 'r')],
    says: /read-only/,
  },
  {
    title: 'memory that is an eventfd',
    request: 'ADD_MEM_REG',
    payload: () => slot({}),
    fds: () => [createEventFd()],
    says: /not a memory file/,
  },
  {
    title: 'read-only memory',
    request: 'ADD_MEM_REG',
    payload: () => slot({ size: 4096n }),
    fds: () => [openSync(process.execPath, 'r')],
    says: /read-only/,
  },
  {
    title: 'memory that could be truncated while it is mapped: refused with a hint',
    request: 'ADD_MEM_REG',
    payload: () => slot({}),
    fds: () => [createMemoryFile('unsealed', Number(MIB), { sealed: false })],
    says: /not sealed.*memory-backend-memfd.*allowUnsealedMemory/s,
  },
  {
    title: 'a memory table with more regions than descriptors',
    request: 'SET_MEM_TABLE',
    payload: () => table(2, [region({}), region({ guest: MIB, user: MIB })]),
    fds: memoryFile,
    says: /2 regions with 1 descriptors/,
  },
  {
    title: 'a memory table with more regions than its payload',
    request: 'SET_MEM_TABLE',
    payload: () => table(2, [region({})]),
    fds: () => [...memoryFile(), ...memoryFile()],
    says: /2 regions in 40 bytes/,
  },
  {
    title: 'a memory table of 2^32 − 1 regions',
    request: 'SET_MEM_TABLE',
    payload: () => table(0xffff_ffff, [region({})]),
    fds: memoryFile,
    says: /4294967295 regions/,
  },
  {
    title: 'a memory table of nine regions',
    request: 'SET_MEM_TABLE',
    payload: () => {
      const one = (n: bigint) => region({ guest: n * MIB, user: n * MIB });
      return table(9, [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n].map(one));
    },
    fds: () => Array.from({ length: 9 }, () => createMemoryFile('hostile', Number(MIB))),
    says: /9/,
  },
  {
    title: 'a memory table whose regions overlap for the guest',
    request: 'SET_MEM_TABLE',
    payload: () => table(2, [region({}), region({ guest: MIB / 2n, user: 0x1000n })]),
    fds: () => [...memoryFile(), ...memoryFile()],
    says: /overlaps/,
  },
  {
    title: 'a memory table whose regions overlap for the front-end',
    request: 'SET_MEM_TABLE',
    payload: () => table(2, [region({}), region({ guest: 64n * MIB })]),
    fds: () => [...memoryFile(), ...memoryFile()],
    says: /overlaps/,
  },
  {
    title: 'the removal of a region that does not exist',
    request: 'REM_MEM_REG',
    payload: () => slot({}),
    says: /no such region/,
  },
  {
    title: 'IOTLB_MSG without a back-end channel',
    request: 'IOTLB_MSG',
    payload: () => new Uint8Array(32).fill(0xff),
    says: /not negotiated/,
  },
];

const UNOFFERED: readonly SocketCase[] = [
  ['CVE-2020-10722: SET_LOG_BASE', 'SET_LOG_BASE', 16],
  ['CVE-2020-10722: SET_LOG_FD', 'SET_LOG_FD', 0],
  ['CVE-2020-10724: CREATE_CRYPTO_SESSION', 'CREATE_CRYPTO_SESSION', 1024],
  ['CVE-2020-10724: CLOSE_CRYPTO_SESSION', 'CLOSE_CRYPTO_SESSION', 8],
  ['CVE-2020-10726: GET_INFLIGHT_FD', 'GET_INFLIGHT_FD', 24],
  ['CVE-2021-3839: SET_INFLIGHT_FD', 'SET_INFLIGHT_FD', 24],
  ['SET_VRING_ENDIAN', 'SET_VRING_ENDIAN', 8],
  ['SEND_RARP', 'SEND_RARP', 8],
].map(([title, request, size]) => ({
  title: `${title}, which was not offered`,
  request: request as RequestName,
  payload: () => new Uint8Array(Number(size)).fill(0xff),
  ...(String(request).includes('FD') ? { fds: memoryFile } : {}),
  says: /not offered/,
}));

const FEATURES: readonly SocketCase[] = [
  ['GUEST_HDRLEN', 59],
  ['RSC_EXT', 61],
  ['CVE-2019-14835: LOG_ALL', 26],
  ['CTRL_VLAN', 19],
  ['CTRL_RX_EXTRA', 20],
  ['VIRTIO_F_SR_IOV', 37],
  ['bit 62', 62],
].map(([title, bit]) => ({
  title: `${title}, which was not offered`,
  request: 'SET_FEATURES' as const,
  payload: () => writeU64(1n << BigInt(bit ?? 0)),
  says: /not offered/,
}));

const DESCRIPTORS: readonly SocketCase[] = [
  {
    title: 'CVE-2022-0669: descriptors with a message that accepts none',
    request: 'SET_VRING_NUM',
    payload: () => writeVringState(0, 256),
    fds: () => [...memoryFile(), createEventFd()],
    says: /2 descriptors, not 0/,
  },
  {
    title: 'CVE-2019-14818: more descriptors than the message accepts',
    request: 'SET_VRING_KICK',
    payload: () => writeU64(0n),
    fds: () => [createEventFd(), createEventFd(), createEventFd()],
    says: /3 descriptors, not 1/,
  },
  {
    title: 'CVE-2019-14818: a hundred descriptors with a memory table',
    request: 'SET_MEM_TABLE',
    payload: () => table(1, [region({})]),
    fds: () => Array.from({ length: 100 }, createEventFd),
    says: /100 descriptors, not 8/,
  },
  {
    title: 'a payload that is too short',
    request: 'SET_VRING_ADDR',
    payload: () => new Uint8Array(39),
    says: /39 bytes, not 40/,
  },
  {
    title: 'a payload that is too long',
    request: 'SET_VRING_NUM',
    payload: () => new Uint8Array(16),
    says: /16 bytes, not 8/,
  },
  {
    title: 'a write to the configuration space',
    request: 'SET_CONFIG',
    payload: () => new Uint8Array(18),
    says: /configuration space/,
  },
  {
    title: 'an MTU of 2^64 − 1',
    request: 'NET_SET_MTU',
    payload: () => writeU64(0xffff_ffff_ffff_ffffn),
    says: /MTU/,
  },
];

export const SOCKET_CASES: readonly SocketCase[] = [
  ...UNOFFERED,
  ...FEATURES,
  ...ringNumbers(),
  ...RINGS,
  ...MEMORY,
  ...DESCRIPTORS,
];
