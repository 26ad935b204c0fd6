import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  F_ADD_SEALS,
  F_SEAL_FUTURE_WRITE,
} from '../../src/os/constants.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { RequestRefused } from '../../src/testing/front-end.ts';
import { enableRing, memoryTable } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import {
  FLAG_NEED_REPLY,
  FrontendRequest,
  writeMessage,
  writeU64,
  writeVringAddress,
  writeVringState,
} from '../../src/vhost-user/message.ts';

/** A VMM whose guest runs, and which now attacks the NIC. */
interface Vmm {
  readonly guest: MockGuest;
  /** MAC addresses of the guest and of the one that it may talk to. */
  readonly mac: string;
  readonly to: string;
}

export interface VmmCase {
  title: string;
  attack: (vmm: Vmm) => Promise<void>;
  /** The NIC closes the connection. */
  isTurnedOut?: boolean;
  /** The deadline after which it does so, which the test hastens. */
  deadlineMs?: number;
}

/** The time a front-end has to finish a message (src/vhost-user/connection.ts). */
export const MESSAGE_TIMEOUT_MS = 5000;

const EFD_SEMAPHORE = 1;
const ROUNDS = 200;
const RECEIVE = 0;
const TRANSMIT = 1;

/** One frame, which wakes the processor and makes it check every ring of the guest. */
function send({ guest, mac, to }: Vmm, length = 200): void {
  if (!guest.frontEnd.isClosed) guest.send(plainFrame({ to, from: mac }, length));
}

/** A refusal is a valid reply: only the effect on the NIC matters. */
async function mayBeRefused(request: Promise<unknown>): Promise<void> {
  await request.catch((error: Error) => {
    if (!(error instanceof RequestRefused)) throw error;
  });
}

/** The reply shows that everything sent before has been handled. */
async function settle({ guest }: Vmm): Promise<void> {
  await guest.frontEnd.ask('GET_FEATURES');
}

const MEMORY: readonly VmmCase[] = [
  {
    title: 'seals its memory against mapping once its rings run',
    attack: async (vmm) => {
      for (const { fd } of vmm.guest.queues.memory.regions) {
        c.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
      }
      for (let i = 0; i < ROUNDS; i++) send(vmm, 60 + i);
      await settle(vmm);
    },
  },
  {
    title: 'removes the memory of its rings',
    attack: async (vmm) => {
      const { frontEnd } = vmm.guest;
      send(vmm);
      await mayBeRefused(frontEnd.send('SET_MEM_TABLE', memoryTable([]).payload));
      send(vmm);
      await settle(vmm);
    },
  },
  {
    title: 'shares its memory again and again while frames move',
    attack: async (vmm) => {
      const { frontEnd, queues } = vmm.guest;
      const { payload, fds } = memoryTable(queues.memory.regions);
      for (let i = 0; i < 50; i++) {
        send(vmm);
        await mayBeRefused(frontEnd.send('SET_MEM_TABLE', payload, fds));
      }
    },
  },
  {
    title: 'shares other memory at the same addresses',
    attack: async (vmm) => {
      const { frontEnd, queues } = vmm.guest;
      const [first, ...others] = queues.memory.regions;
      const second = others.at(0);
      if (first === undefined || second === undefined) throw new Error('assertion: two regions');
      const swapped = [
        { ...first, fd: second.fd, sizeBytes: Math.min(first.sizeBytes, second.sizeBytes) },
      ];
      const { payload, fds } = memoryTable(swapped);
      await mayBeRefused(frontEnd.send('SET_MEM_TABLE', payload, fds));
      send(vmm);
      await settle(vmm);
    },
  },
];

const RINGS: readonly VmmCase[] = [
  {
    title: 'sets other addresses of a running ring',
    attack: async (vmm) => {
      const { frontEnd } = vmm.guest;
      for (const address of [0n, 0x1000n, 0xffff_ffff_ffff_f000n]) {
        const parts = { descriptors: address, avail: address, used: address };
        const payload = writeVringAddress({ index: TRANSMIT, flags: 0, log: 0n, ...parts });
        await mayBeRefused(frontEnd.send('SET_VRING_ADDR', payload));
        send(vmm);
      }
      await settle(vmm);
    },
  },
  {
    title: 'sets other sizes and positions of a running ring',
    attack: async (vmm) => {
      const { frontEnd } = vmm.guest;
      for (const value of [1, 2, 17, 32768, 0, 65535]) {
        const payload = writeVringState(TRANSMIT, value);
        await mayBeRefused(frontEnd.send('SET_VRING_NUM', payload));
        await mayBeRefused(frontEnd.send('SET_VRING_BASE', payload));
        send(vmm);
      }
      await settle(vmm);
    },
  },
  {
    title: 'negotiates other features while its rings run',
    attack: async (vmm) => {
      const { frontEnd, negotiated } = vmm.guest;
      const all = [...negotiated.features];
      for (const bit of all) {
        const without = all.filter((other) => other !== bit);
        const mask = without.reduce((sum, other) => sum | (1n << BigInt(other)), 0n);
        await mayBeRefused(frontEnd.send('SET_FEATURES', writeU64(mask)));
        send(vmm);
      }
      await settle(vmm);
    },
  },
  {
    title: 'disables and enables its rings without end',
    attack: async (vmm) => {
      for (let i = 0; i < ROUNDS; i++) {
        await mayBeRefused(enableRing(vmm.guest.frontEnd, i % 2, i % 4 > 1));
        send(vmm);
      }
    },
  },
  {
    title: 'stops and starts a ring without end',
    attack: async (vmm) => {
      const { frontEnd } = vmm.guest;
      const fds = [vmm.guest.fdsOf(TRANSMIT).kick];
      for (let i = 0; i < ROUNDS; i++) {
        await frontEnd.ask('GET_VRING_BASE', writeVringState(TRANSMIT, 0));
        await mayBeRefused(frontEnd.send('SET_VRING_KICK', writeU64(BigInt(TRANSMIT)), fds));
        send(vmm);
      }
    },
  },
  {
    title: 'resets the device while frames are in flight',
    attack: async (vmm) => {
      for (let i = 0; i < 20; i++) {
        send(vmm);
        await mayBeRefused(vmm.guest.frontEnd.send('RESET_DEVICE'));
      }
      await settle(vmm);
    },
  },
];

const DESCRIPTORS: readonly VmmCase[] = [
  {
    title: 'uses one descriptor for calls and kicks, so that each call is a kick',
    attack: async (vmm) => {
      const { kick } = vmm.guest.fdsOf(TRANSMIT);
      for (const queue of [RECEIVE, TRANSMIT]) {
        await vmm.guest.frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue)), [kick]);
      }
      for (let i = 0; i < ROUNDS; i++) send(vmm);
      await settle(vmm);
    },
  },
  {
    title: 'kicks with a semaphore that is never empty',
    attack: async (vmm) => {
      const flags = EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE;
      const kick = c.eventfd(0xffff_ffff, flags);
      await vmm.guest.frontEnd.ask('GET_VRING_BASE', writeVringState(TRANSMIT, 0));
      const payload = writeU64(BigInt(TRANSMIT));
      await mayBeRefused(vmm.guest.frontEnd.send('SET_VRING_KICK', payload, [kick]));
      for (let i = 0; i < ROUNDS; i++) send(vmm);
      await settle(vmm);
      c.close(kick);
    },
  },
  {
    title: 'changes its call and error descriptors without end',
    attack: async (vmm) => {
      for (let i = 0; i < ROUNDS; i++) {
        const fd = createEventFd();
        const request = i % 2 === 0 ? 'SET_VRING_CALL' : 'SET_VRING_ERR';
        await vmm.guest.frontEnd.send(request, writeU64(BigInt(i & 1)), [fd]);
        c.close(fd);
        send(vmm);
      }
    },
  },
];

const SOCKET: readonly VmmCase[] = [
  {
    title: 'sends refused requests without end',
    attack: async (vmm) => {
      for (let i = 0; i < 2000; i++) {
        await mayBeRefused(vmm.guest.frontEnd.send('SET_VRING_ENABLE', writeVringState(99, 1)));
      }
    },
  },
  {
    title: 'stops reading replies',
    isTurnedOut: true,
    attack: async (vmm) => {
      const { frontEnd } = vmm.guest;
      frontEnd.stopReading();
      const request = FrontendRequest.GET_FEATURES;
      const one = writeMessage(request, FLAG_NEED_REPLY, new Uint8Array(0));
      const burst = Buffer.concat(Array.from({ length: 1000 }, () => one));
      for (let i = 0; i < 100; i++) frontEnd.sendRaw(burst);
    },
  },
  {
    title: 'stops in the middle of a request, with its rings running',
    isTurnedOut: true,
    deadlineMs: MESSAGE_TIMEOUT_MS,
    attack: async (vmm) => {
      const message = writeMessage(FrontendRequest.SET_VRING_NUM, 0, writeVringState(0, 64));
      vmm.guest.frontEnd.sendRaw(message.subarray(0, 15));
      for (let i = 0; i < ROUNDS; i++) send(vmm);
    },
  },
];

export const VMM_CASES: readonly VmmCase[] = [...MEMORY, ...RINGS, ...DESCRIPTORS, ...SOCKET];
