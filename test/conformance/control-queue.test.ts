import { afterEach, describe, expect, it } from 'vitest';
import * as virtio from '../../layout/virtio.ts';
import { isIntact, macBytes, readUdpTag, udpFrame } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES, negotiate } from '../../src/testing/handshake.ts';
import type { MockGuest, MockGuestOptions } from '../../src/testing/mock-guest.ts';
import { ProtocolFeature, readU64, viewOf } from '../../src/vhost-user/message.ts';
import {
  acknowledgeAnnouncement,
  CONTROL_FEATURES,
  command,
  ERROR,
  OK,
  setAllMulticast,
  setGuestOffloads,
  setMac,
  setMacTable,
  setPromiscuous,
  setQueuePairs,
} from '../support/control-commands.ts';
import { exchange } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

const FEATURES = [...MODERN_FEATURES, ...CONTROL_FEATURES];
const FORMATS = [
  { title: 'split', packed: false },
  { title: 'packed', packed: true },
] as const;

let lab: TestNic;

afterEach(async () => {
  await lab.finish();
});

/** Sends a frame of each of 64 flows from VF 0 to VF 1. Returns the pairs on which they arrive. */
async function pairsOfFlows(sender: MockGuest, seen: Map<number, number>): Promise<Set<number>> {
  seen.clear();
  for (let flow = 0; flow < 64; flow++) {
    const addresses = { to: lab.mac(1), from: lab.mac(0) };
    sender.send(udpFrame({ ...addresses, flow, sequence: 0, seed: 1, length: 100 }));
  }
  await sender.waitTransmitted();
  await expect.poll(() => seen.size).toBe(64);
  return new Set(seen.values());
}

function receiving(seen: Map<number, number>): Pick<MockGuestOptions, 'onFrame'> {
  return {
    onFrame: (frame, pair) => {
      expect(isIntact(frame)).toBe(true);
      seen.set(readUdpTag(frame)?.flow ?? -1, pair);
    },
  };
}

async function macOfConfig(guest: MockGuest): Promise<number[]> {
  const request = new Uint8Array(12 + 6);
  viewOf(request).setUint32(4, 6, true);
  return [...(await guest.frontEnd.ask('GET_CONFIG', request)).subarray(12)];
}

describe.each(FORMATS)('a control queue on a $title ring', ({ packed }) => {
  for (const pairs of [4, 16]) {
    it(`uses as many of ${pairs} queue pairs as its guest requests`, async () => {
      lab = await TestNic.start({ vf: { queuePairs: pairs } });
      const sender = await lab.connect(0);
      const seen = new Map<number, number>();
      const more = { queuePairs: pairs, slots: 64, ...receiving(seen) };
      const guest = await lab.connect(1, { packed, features: FEATURES, ...more });
      expect(await pairsOfFlows(sender, seen), 'the first only').toEqual(new Set([0]));
      for (const wanted of [pairs, 2, 1, 3]) {
        expect((await guest.command(setQueuePairs(wanted))).ack).toBe(OK);
        const used = await pairsOfFlows(sender, seen);
        expect(used.size).toBeLessThanOrEqual(wanted);
        expect(used.size).toBeGreaterThan(wanted / 2);
        expect(Math.max(...used)).toBeLessThan(wanted);
      }
      expect(lab.stats(1).control).toMatchObject({ commands: 4, refused: 0, drops: {} });
      const ring = lab.nic.vf('vf1').rings.find(({ direction }) => direction === 'control');
      expect(ring).toMatchObject({ queue: pairs * 2, state: 'enabled' });
    });
  }

  it('is virtqueue 2 of a driver without multiqueue', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 4 } });
    const features = FEATURES.filter((bit) => bit !== virtio.VIRTIO_NET_F_MQ);
    const first = await lab.connect(0, { packed, features });
    const second = await lab.connect(1);
    expect(first.queues.controlNumber).toBe(2);
    expect((await first.command(setPromiscuous(1))).ack).toBe(OK);
    expect((await first.command(setQueuePairs(1))).ack, 'not negotiated').toBe(ERROR);
    await exchange(lab, [1, second], [0, first], { count: 20 });
  });

  it('accepts every known command, and many in a row', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { packed, features: FEATURES });
    const unicast = [
      [2, 0, 0, 0, 9, 1],
      [2, 0, 0, 0, 9, 2],
    ];
    const group = [1, 0, 94, 0, 0, 251];
    const commands = [
      setPromiscuous(1),
      setPromiscuous(0),
      setAllMulticast(1),
      setMacTable([], []),
      setMacTable(unicast, [group]),
      acknowledgeAnnouncement(),
      setQueuePairs(1),
      setGuestOffloads([]),
    ];
    for (let round = 0; round < 40; round++) {
      const answers = await Promise.all(commands.map((bytes) => guest.command(bytes)));
      expect(answers.map(({ ack }) => ack)).toEqual(commands.map(() => OK));
    }
    expect(lab.stats(0).control).toMatchObject({ commands: 320, refused: 0 });
  });

  it('refuses and counts malformed, unknown and excessive commands', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 2 } });
    const guest = await lab.connect(0, { packed, features: FEATURES, queuePairs: 2 });
    const good = setMacTable([[2, 0, 0, 0, 9, 1]], []);
    const refused = [
      Uint8Array.of(0),
      setQueuePairs(0),
      setQueuePairs(3),
      setQueuePairs(0x8000),
      command(virtio.CONTROL_MQ, virtio.CONTROL_MQ_PAIRS_SET, [1]),
      command(virtio.CONTROL_MQ, virtio.CONTROL_MQ_PAIRS_SET, [1, 0, 0]),
      setPromiscuous(2),
      command(virtio.CONTROL_RX, virtio.CONTROL_RX_PROMISCUOUS, []),
      command(virtio.CONTROL_RX, 2, [1]), // ALLUNI: RX_EXTRA, which is not offered
      good.subarray(0, good.length - 1),
      Uint8Array.of(...good, 0),
      setMacTable([[1, 0, 0, 0, 9, 1]], []),
      setMacTable([], [[2, 0, 0, 0, 9, 1]]),
      command(virtio.CONTROL_MAC, virtio.CONTROL_MAC_TABLE_SET, [255, 255, 255, 255]),
      setMac([1, 0, 0, 0, 0, 1]),
      setMac([0, 0, 0, 0, 0, 0]),
      setMac([2, 0, 0, 0, 0]),
      command(2, 0, [5, 0]), // VLAN filter
      setGuestOffloads([virtio.VIRTIO_NET_F_GUEST_TSO4]),
      setGuestOffloads([virtio.VIRTIO_NET_F_MRG_RXBUF]),
      command(virtio.CONTROL_ANNOUNCE, virtio.CONTROL_ANNOUNCE_ACK, [0]),
      command(200, 0, []),
      command(virtio.CONTROL_MQ, 77, []),
      new Uint8Array(5000),
    ];
    for (const [index, bytes] of refused.entries()) {
      expect((await guest.command(bytes)).ack, `command ${index}`).toBe(ERROR);
    }
    expect(lab.stats(0).control).toMatchObject({
      commands: refused.length,
      refused: refused.length,
      faults: 0,
      drops: {},
    });
    expect((await guest.command(setQueuePairs(2))).ack).toBe(OK);
  });

  it('sets the address that the NIC reports, until a reset', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { packed, features: FEATURES });
    const own = [...macBytes(lab.mac(0))];
    const chosen = [2, 0xaa, 0xbb, 0, 0, 7];
    expect(await macOfConfig(guest)).toEqual(own);
    expect((await guest.command(setMac(chosen))).ack).toBe(OK);
    expect(await macOfConfig(guest)).toEqual(chosen);
    const reset = lab.next('reset', 0);
    await guest.frontEnd.send('RESET_DEVICE');
    await reset;
    expect(await macOfConfig(guest)).toEqual(own);
  });

  it('loses its settings at a reset, but not with the connection', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 2 } });
    const sender = await lab.connect(0);
    const seen = new Map<number, number>();
    const options = { packed, features: FEATURES, queuePairs: 2, ...receiving(seen) };
    let guest = await lab.connect(1, options);
    await guest.command(setQueuePairs(2));
    const gone = lab.next('disconnect', 1);
    const orphan = guest.orphan();
    await gone;
    guest = await lab.adopt(1, orphan);
    expect(await pairsOfFlows(sender, seen), 'after a lost connection').toEqual(new Set([0, 1]));
    expect((await guest.command(setPromiscuous(1))).ack).toBe(OK);
    const reset = lab.next('reset', 1);
    await guest.frontEnd.send('RESET_DEVICE');
    await reset;
    await guest.restart();
    expect(await pairsOfFlows(sender, seen), 'after a reset').toEqual(new Set([0]));
  });

  it('starts over with a guest whose VMM does not report a reset', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 2 } });
    const sender = await lab.connect(0);
    const seen = new Map<number, number>();
    const options = { packed, features: FEATURES, queuePairs: 2, ...receiving(seen) };
    const guest = await lab.connect(1, options);
    await guest.command(setQueuePairs(2));
    for (const queue of [0, 1, 2, 3, 4]) await guest.stopQueue(queue);
    await guest.restart();
    expect(await pairsOfFlows(sender, seen)).toEqual(new Set([0]));
  });

  it('disables and enables offloads while its guest runs', async () => {
    lab = await TestNic.start();
    const offloads = [virtio.VIRTIO_NET_F_CSUM, virtio.VIRTIO_NET_F_GUEST_CSUM];
    const features = [...FEATURES, ...offloads];
    const sender = await lab.connect(0, { features });
    const guest = await lab.connect(1, { packed, features });
    const addresses = { to: lab.mac(1), from: lab.mac(0) };
    const frame = udpFrame({ ...addresses, flow: 1, sequence: 0, seed: 1, length: 100 });
    const header = new Uint8Array(12);
    const view = viewOf(header);
    view.setUint8(0, virtio.NET_HEADER_F_NEEDS_CSUM);
    view.setUint16(6, 34, true);
    view.setUint16(8, 6, true);
    const send = async () => {
      sender.queues.pair(0).transmit.trySend(frame, undefined, header);
      sender.flush();
      await guest.nextFrame();
    };
    for (const [bits, completed] of [
      [[], 1],
      [[virtio.VIRTIO_NET_F_GUEST_CSUM], 1],
      [[], 2],
    ] as const) {
      expect((await guest.command(setGuestOffloads(bits))).ack).toBe(OK);
      await send();
      expect(lab.counter(1, 'rx.checksums')).toBe(completed);
    }
  });
});

describe('a control queue', () => {
  it('that its front-end serves itself imposes no limits', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 4 } });
    const sender = await lab.connect(0);
    const seen = new Map<number, number>();
    const queues = Array.from({ length: 8 }, (_, queue) => queue);
    const options = { features: FEATURES, queuePairs: 4, queues, ...receiving(seen) };
    await lab.connect(1, options);
    expect(await pairsOfFlows(sender, seen)).toEqual(new Set([0, 1, 2, 3]));
    expect(lab.stats(1).control).toBeUndefined();
  });

  it('is recognised by what the front-end accepts: pairs or queues, its own or ours', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 2 } });
    const isOffered = async (frontEnd: FrontEnd) => {
      const features = readU64(await frontEnd.ask('GET_FEATURES'));
      const bits = [
        virtio.VIRTIO_NET_F_CTRL_VQ,
        virtio.VIRTIO_NET_F_RSS,
        virtio.VIRTIO_NET_F_HASH_REPORT,
      ];
      const offered = bits.filter((bit) => ((features >> BigInt(bit)) & 1n) === 1n);
      expect([0, bits.length]).toContain(offered.length);
      return offered.length > 0;
    };
    for (const hasConfig of [true, false]) {
      const gone = lab.next('disconnect', 0);
      const frontEnd = FrontEnd.connect(lab.socket(0));
      const protocol = DEFAULT_PROTOCOL_FEATURES.filter(
        (bit) => hasConfig || bit !== ProtocolFeature.CONFIG,
      );
      expect(await isOffered(frontEnd)).toBe(true);
      await negotiate(frontEnd, MODERN_FEATURES, protocol);
      expect(await isOffered(frontEnd)).toBe(hasConfig);
      expect(readU64(await frontEnd.ask('GET_QUEUE_NUM'))).toBe(hasConfig ? 5n : 2n);
      frontEnd.close();
      await gone;
    }
  });

  it('can be disabled, with everything that needs it', async () => {
    lab = await TestNic.start({ vf: { disabledFeatures: ['CTRL_VQ'] } });
    const guest = await lab.connect(0, { features: FEATURES });
    const taken = CONTROL_FEATURES.filter((bit) => guest.negotiated.features.has(bit));
    expect(taken).toEqual([virtio.VIRTIO_NET_F_GUEST_ANNOUNCE]);
    expect(readU64(await guest.frontEnd.ask('GET_QUEUE_NUM'))).toBe(2n);
  });

  it('is served for every VF of two processors', async () => {
    lab = await TestNic.start({ vfs: 6, processors: 2 });
    const guests: MockGuest[] = [];
    for (let number = 0; number < 6; number++) {
      guests.push(await lab.connect(number, { features: FEATURES, packed: number % 2 === 1 }));
    }
    for (let round = 0; round < 10; round++) {
      const acks = await Promise.all(guests.map((guest) => guest.command(setPromiscuous(1))));
      expect(acks.map(({ ack }) => ack)).toEqual(guests.map(() => OK));
    }
  });

  it('survives a processor that traps: a command in flight is still executed', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { features: FEATURES });
    const other = await lab.connect(1, { features: FEATURES });
    await guest.command(setPromiscuous(1));
    const fault = lab.next('fault', 1);
    const answer = guest.command(setPromiscuous(0));
    await lab.nic.injectTrap('vf1', 1);
    other.send(
      udpFrame({ to: lab.mac(0), from: lab.mac(1), flow: 1, sequence: 0, seed: 1, length: 100 }),
    );
    await fault;
    expect((await answer).ack).toBe(OK);
    expect((await guest.command(setAllMulticast(1))).ack).toBe(OK);
  });
});
