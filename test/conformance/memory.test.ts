import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { c } from '../../src/os/libc.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { FrontEnd, RequestRefused } from '../../src/testing/front-end.ts';
import { addRegion, memoryTable, negotiate } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { checkSame, exchange, flowFrames } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

const GIB = 2 ** 30;
const HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
const PAGES_WANTED = 64;

/** Reserves huge pages for one test; returns the reason if that fails. */
function reserveHugePages(): { release: () => void } | string {
  const free = (): number =>
    Number(/HugePages_Free:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0);
  const before = readFileSync(HUGE_PAGES, 'utf8').trim();
  if (free() >= PAGES_WANTED) return { release: () => {} };
  try {
    writeFileSync(HUGE_PAGES, String(Number(before) + PAGES_WANTED));
  } catch (error) {
    return `cannot reserve huge pages: ${(error as Error).message}`;
  }
  const release = (): void => writeFileSync(HUGE_PAGES, before);
  if (free() >= PAGES_WANTED) return { release };
  release();
  return `the kernel has no ${PAGES_WANTED} huge pages left`;
}

describe('guest memory', () => {
  let lab: TestNic | undefined;

  afterEach(async () => {
    await lab?.finish();
    lab = undefined;
  });

  it('of 16 GiB each in four guests: scattered buffers, byte-exact, windows evicted', async () => {
    lab = await TestNic.start({ vfs: 4 });
    const guests: MockGuest[] = [];
    for (let number = 0; number < 4; number++) {
      const regions = [
        { guestAddress: 0, sizeBytes: 3 * GIB },
        { guestAddress: 4 * GIB, sizeBytes: 13 * GIB },
      ];
      const memory = { sparse: true, regions };
      guests.push(await lab.connect(number, { memory, indirectShare: 0.3, slots: 200 }));
    }
    for (let round = 0; round < 4; round++) {
      for (const [from, sender] of guests.entries()) {
        const to = (from + 1 + (round % 3)) % 4;
        const receiver = guests[to] as MockGuest;
        await exchange(lab, [from, sender], [to, receiver], { count: 250, seed: round * 4 + from });
      }
    }
    for (let number = 0; number < 4; number++) expect(lab.drops(number)).toEqual({});
    const [processor] = lab.nic.stats().processors;
    expect(processor?.windows.evictions).toBeGreaterThan(100);
    expect(processor?.windows.used).toBeLessThanOrEqual(processor?.windows.slots ?? 0);
  });

  it('that its VMM does not share is reported, and only the frames are lost', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { isRaw: true, features: [] });
    const reasons: string[] = [];
    lab.nic.on('fault', ({ reason }) => reasons.push(reason));
    const ring = guest.queues.ring(1);
    for (let i = 0; i < 3; i++) {
      const isTold = i === 0 ? lab.next('fault', 0) : undefined;
      ring.writeDescriptor(i, { address: BigInt(1 + i) << 45n, length: 72, flags: 0 });
      ring.offerRaw(i);
      ring.publish();
      guest.kick(1);
      await guest.waitUsed(1, i + 1);
      await isTold;
    }
    expect(reasons).toEqual([expect.stringMatching(/guest address 0x2.*outside.*share=on/)]);
    expect(lab.nic.vf('vf0')).toMatchObject({ state: 'ready', lastFault: reasons[0] });
    expect(lab.drops(0)).toEqual({ 'tx.bufferAddress': 3 });
    await lab.disconnect(0, guest);
  });

  it('of huge pages', async (context) => {
    const pages = reserveHugePages();
    if (typeof pages === 'string') {
      console.log(`skipped: ${pages}`);
      context.skip(pages);
      return;
    }
    try {
      lab = await TestNic.start({ vf: { allowUnsealedMemory: true } });
      const regions = [
        { guestAddress: 0, sizeBytes: 0x800000 },
        { guestAddress: 0x1_0000_0000, sizeBytes: 0x1000000 },
      ];
      const memory = { hugePages: true, regions };
      const first = await lab.connect(0, { memory });
      const second = await lab.connect(1, { memory });
      await exchange(lab, [0, first], [1, second], { count: 300, seed: 1 });
      await exchange(lab, [1, second], [0, first], { count: 300, seed: 2 });
    } finally {
      await lab?.finish();
      lab = undefined;
      pages.release();
    }
  });

  it('of huge pages is refused with a hint, unless the VF allows it', async () => {
    lab = await TestNic.start();
    const frontEnd = FrontEnd.connect(lab.socket(0));
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    const sizeBytes = 0x400000;
    // Nothing is mapped yet, so no page is taken from the pool.
    const fd = createMemoryFile('huge', sizeBytes, { hugePages: true });
    const region = { fd, fileOffset: 0, guestAddress: 0, userAddress: 0x10000000, sizeBytes };
    const { payload, fds } = memoryTable([region]);
    await expect(frontEnd.send('SET_MEM_TABLE', payload, fds)).rejects.toThrow(RequestRefused);
    const fault = lab.nic.vf('vf0').lastFault;
    expect(fault).toMatch(/huge pages.*without hugetlb=on.*allowUnsealedMemory: true/);
    await lab.nic.setVf('vf0', { allowUnsealedMemory: true });
    await frontEnd.send('SET_MEM_TABLE', payload, fds);
    expect(lab.nic.vf('vf0').memoryBytes).toBe(sizeBytes);
    c.close(fd);
    const gone = lab.next('disconnect', 0);
    frontEnd.close();
    await gone;
  });

  it('that is not sealed is refused with a hint, and accepted if the VF allows it', async () => {
    lab = await TestNic.start();
    const memory = { sealed: false };
    await expect(lab.connect(0, { memory })).rejects.toThrow(RequestRefused);
    const fault = lab.nic.vf('vf0').lastFault;
    expect(fault).toMatch(/memory-backend-memfd/);
    expect(fault).toMatch(/allowUnsealedMemory: true/);
    expect(lab.nic.vf('vf0').state).toBe('faulted');
    await lab.nic.setVf('vf0', { allowUnsealedMemory: true });
    await lab.reset(0);
    const first = await lab.connect(0, { memory });
    const second = await lab.connect(1);
    await exchange(lab, [0, first], [1, second], { count: 20 });
    await exchange(lab, [1, second], [0, first], { count: 20 });
  });

  it('with adjacent regions: a buffer may cross from one into the next', async () => {
    lab = await TestNic.start();
    const first = await lab.connect(0, { memory: { mappedBytesMax: 0x10000000 } });
    const second = await lab.connect(1);
    const { memory } = first.queues;
    for (let index = 0; index < 8; index++) {
      const guestAddress = 2 ** 36 + index * 0x100000;
      const region = memory.addRegion({ guestAddress, sizeBytes: 0x100000 });
      await addRegion(first.frontEnd, region);
    }
    for (const [sequence, frame] of flowFrames(lab.mac(1), lab.mac(0), { count: 7 }).entries()) {
      // The header is in one region, and the frame crosses into the next: written byte by byte.
      const start = 2 ** 36 + (sequence + 1) * 0x100000 - 12 - 30;
      const packet = Buffer.concat([new Uint8Array(12), frame]);
      for (let i = 0; i < packet.length; i++) {
        memory.bytes[memory.spanAt(start + i, 1).offset] = packet[i] ?? 0;
      }
      await first.sendSpan({ address: start, offset: 0, length: packet.length }, frame.length);
      checkSame([await second.nextFrame()], [frame]);
    }
  });
});

describe('a trap in the firmware', () => {
  it('stops the ring on which it happened, and all others are served again', async () => {
    const lab = await TestNic.start({ vfs: 4 });
    const guests: MockGuest[] = [];
    for (let number = 0; number < 4; number++) guests.push(await lab.connect(number));
    const [first, second, third, fourth] = guests as [MockGuest, MockGuest, MockGuest, MockGuest];
    await exchange(lab, [0, first], [1, second], { count: 20 });
    await exchange(lab, [2, third], [3, fourth], { count: 20 });
    const fault = lab.next('fault', 0);
    expect(await lab.nic.injectTrap('vf0', 1)).toBe(true);
    first.send(new Uint8Array(60));
    await fault;
    await exchange(lab, [2, third], [3, fourth], { count: 50, seed: 7 });
    await exchange(lab, [3, fourth], [2, third], { count: 50, seed: 8 });
    await exchange(lab, [1, second], [0, first], { count: 50, seed: 9 });
    expect(lab.nic.stats().processors[0]?.restarts).toBe(1);
    expect(lab.nic.vf('vf0').state).toBe('faulted');
    expect(lab.nic.vf('vf0').lastFault).toMatch(/trapped/);
    expect(lab.counter(0, 'tx.faults')).toBe(1);
    // After the guest has reset its device, everything works.
    await first.frontEnd.send('RESET_DEVICE');
    await first.restart();
    await exchange(lab, [0, first], [1, second], { count: 20, seed: 10 });
    expect(lab.nic.vf('vf0').state).toBe('ready');
    await lab.untilBalanced();
    await lab.close();
  });
});
