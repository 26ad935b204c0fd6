import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LEARNED_PER_VF_MAX } from '../../layout/limits.ts';
import { SHARED_BASE, SHARED_FDB } from '../../layout/memory.ts';
import { PORT_LEARNED_COUNT, PORT_UNLEARNED } from '../../layout/port.ts';
import {
  FDB_PORT_BITS,
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_TAG_BITS,
  FDB_WAYS,
} from '../../layout/switch.ts';
import { RING_DISABLED, RING_ENABLED } from '../../layout/virtqueue.ts';
import { placeOf } from '../../src/state/mac-table.ts';
import {
  arpRequest,
  BROADCAST,
  MULTICAST,
  macNumber,
  plainFrame,
} from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const AGE = 300;
const STRANGER = '02:11:22:33:44:55';

describe('the embedded switch', () => {
  let wire: FirmwareWire;

  beforeEach(() => {
    wire = new FirmwareWire([{}, {}, {}, {}], { macAgeSeconds: AGE });
    wire.postAll();
    wire.host.setNow(1000);
  });

  afterEach(() => {
    wire.close();
  });

  /** Sends one frame and returns how many each guest received. */
  function reach(from: number, to: string, source = wire.mac(from)): number[] {
    expect(wire.send(from, plainFrame({ to, from: source }, 80))).toBe(true);
    wire.run();
    return wire.guests.map((_, number) => wire.received(number).length);
  }

  function learned(vf: number): number {
    return wire.host.view.getUint32(wire.host.portRecord(vf) + PORT_LEARNED_COUNT, true);
  }

  function unlearned(vf: number): number {
    return Number(wire.host.view.getBigUint64(wire.host.portRecord(vf) + PORT_UNLEARNED, true));
  }

  function portOf(key: bigint): number {
    return Number(BigInt.asUintN(FDB_PORT_BITS, key >> BigInt(FDB_TAG_BITS))) - 1;
  }

  /** Every key of the MAC table: port and address. */
  function entries(): bigint[] {
    const keys: bigint[] = [];
    for (let set = 0; set < FDB_SET_COUNT; set++) {
      for (let way = 0; way < FDB_WAYS; way++) {
        const at = SHARED_BASE + SHARED_FDB + set * FDB_SET_SIZE + way * 8;
        const key = wire.host.view.getBigUint64(at, true);
        if (key !== 0n) keys.push(key);
      }
    }
    return keys;
  }

  it('delivers unicast only to its VF', () => {
    expect(reach(0, wire.mac(2))).toEqual([0, 0, 1, 0]);
  });

  it('floods broadcast, multicast, ARP and unknown unicast to all except the sender', () => {
    expect(reach(0, BROADCAST)).toEqual([0, 1, 1, 1]);
    expect(reach(1, MULTICAST)).toEqual([1, 0, 1, 1]);
    expect(reach(2, STRANGER)).toEqual([1, 1, 0, 1]);
    wire.send(3, arpRequest(wire.mac(3), 0x0a000003, 0x0a000001));
    wire.run();
    expect(wire.received(0)).toEqual([arpRequest(wire.mac(3), 0x0a000003, 0x0a000001)]);
    const { replicas, forwarded } = wire.host.stats().vfs[0]?.tx ?? { replicas: 0, forwarded: 0 };
    expect({ forwarded, replicas }).toEqual({ forwarded: 1, replicas: 2 });
  });

  it('never returns a frame to its sender: CVE-2021-3416, CVE-2023-3019', () => {
    expect(reach(0, wire.mac(0), STRANGER)).toEqual([0, 0, 0, 0]);
    expect(wire.allDrops(0)).toEqual({ 'tx.hairpin': 1 });
  });

  it('drops frames with a group address as source', () => {
    expect(reach(0, wire.mac(1), MULTICAST)).toEqual([0, 0, 0, 0]);
    expect(reach(0, wire.mac(1), BROADCAST)).toEqual([0, 0, 0, 0]);
    expect(wire.allDrops(0)).toEqual({ 'tx.sourceAddress': 2 });
  });

  it('learns the port of an address', () => {
    reach(3, wire.mac(0), STRANGER);
    expect(reach(0, STRANGER)).toEqual([0, 0, 0, 1]);
  });

  it('forgets an address after too long a silence', () => {
    reach(3, wire.mac(0), STRANGER);
    wire.host.setNow(1000 + AGE);
    expect(reach(0, STRANGER)).toEqual([0, 0, 0, 1]);
    wire.host.setNow(1000 + AGE + 1);
    expect(reach(0, STRANGER)).toEqual([0, 1, 1, 1]);
  });

  it('keeps an address that sends', () => {
    for (let second = 1000; second < 1000 + AGE * 3; second += AGE - 1) {
      wire.host.setNow(second);
      reach(3, wire.mac(0), STRANGER);
    }
    expect(reach(0, STRANGER)).toEqual([0, 0, 0, 1]);
  });

  it('follows an address that moves', () => {
    reach(3, wire.mac(0), STRANGER);
    reach(2, wire.mac(0), STRANGER);
    expect(reach(0, STRANGER)).toEqual([0, 0, 1, 0]);
    expect([learned(2), learned(3)]).toEqual([1, 0]);
  });

  it("never moves a VF's own address, even if others use it", () => {
    reach(3, wire.mac(0), wire.mac(1));
    expect(reach(0, wire.mac(1))).toEqual([0, 1, 0, 0]);
    wire.host.setNow(1000 + AGE * 10);
    expect(reach(0, wire.mac(1))).toEqual([0, 1, 0, 0]);
  });

  it('learns no more addresses for a VF than its share, counts the rest, and still finds others', () => {
    const sources = LEARNED_PER_VF_MAX + 500;
    for (let i = 0; i < sources; i++) {
      const hex = i.toString(16).padStart(4, '0');
      const source = `02:aa:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
      wire.send(3, plainFrame({ to: wire.mac(0), from: source }, 60));
      wire.run();
      wire.received(0);
    }
    expect(learned(3)).toBe(LEARNED_PER_VF_MAX);
    expect(entries().filter((key) => portOf(key) === 3).length).toBe(learned(3) + 1);
    expect(unlearned(3)).toBe(500);
    reach(2, wire.mac(0), STRANGER);
    expect(reach(0, STRANGER)).toEqual([0, 0, 1, 0]);
    wire.host.setNow(1000 + AGE * 2); // the flood ages out and makes room
    reach(3, wire.mac(0), '02:bb:00:00:00:01');
    expect(reach(0, '02:bb:00:00:00:01')).toEqual([0, 0, 0, 1]);
    expect(learned(3)).toBeLessThan(LEARNED_PER_VF_MAX);
    expect(unlearned(3)).toBe(500);
  });

  it('forgets all addresses of a removed VF', () => {
    reach(3, wire.mac(0), STRANGER);
    wire.host.firmware.forgetPort(3, 0, FDB_SET_COUNT);
    wire.host.firmware.setPort(3, 0);
    expect(entries().filter((key) => portOf(key) === 3)).toEqual([]);
    expect(reach(0, STRANGER)).toEqual([0, 1, 1, 0]);
    expect(reach(0, wire.mac(3))).toEqual([0, 1, 1, 0]);
  });

  it('replaces learned addresses by a static one when their set is full', () => {
    const addresses: string[] = [];
    for (let i = 0; addresses.length < FDB_WAYS + 1; i++) {
      const hex = i.toString(16).padStart(6, '0');
      const mac = `02:cc:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
      if (placeOf(macNumber(mac)).set === 5) addresses.push(mac);
    }
    const last = addresses.pop() ?? '';
    for (const source of addresses) reach(3, wire.mac(0), source);
    expect(learned(3)).toBe(FDB_WAYS);
    expect(wire.host.firmware.setStatic(macNumber(last), 2)).toBe(1);
    expect(reach(0, last)).toEqual([0, 0, 1, 0]);
    expect(learned(3)).toBe(FDB_WAYS - 1);
  });

  it('floods a frame for a VF without a running receive queue', () => {
    wire.host.setReceiveQueues(2, []);
    expect(reach(0, wire.mac(2))).toEqual([0, 1, 0, 1]);
    wire.host.firmware.setPort(2, 0);
    expect(reach(0, wire.mac(2))).toEqual([0, 1, 0, 1]);
    expect(wire.allDrops(0)).toEqual({});
  });

  it('counts such a frame if no other VF could receive it', () => {
    for (const vf of [1, 3]) wire.host.firmware.setPort(vf, 0);
    wire.host.setReceiveQueues(2, []); // it is about to be removed
    wire.host.firmware.setPort(1, 1);
    wire.host.firmware.setPort(1, 0);
    expect(reach(0, wire.mac(2))).toEqual([0, 0, 0, 0]);
    expect(wire.allDrops(0)).toEqual({ 'tx.noDestination': 1 });
    wire.host.firmware.setPort(2, 0);
    reach(0, wire.mac(2));
    expect(wire.allDrops(0)).toEqual({ 'tx.noDestination': 2 });
  });

  it('counts a frame that no other VF could receive', () => {
    for (const vf of [1, 2, 3]) wire.host.firmware.setPort(vf, 0);
    expect(reach(0, BROADCAST)).toEqual([0, 0, 0, 0]);
    expect(wire.allDrops(0)).toEqual({ 'tx.noDestination': 1 });
  });

  it('drains a disabled ring, and continues when it is enabled again', () => {
    const ring = wire.host.ringNumber(0, 1);
    wire.host.firmware.setRingState(ring, RING_DISABLED);
    expect(reach(0, wire.mac(1))).toEqual([0, 0, 0, 0]);
    expect(wire.guest(0).pair(0).transmit.outstanding).toBe(0);
    expect(wire.allDrops(0)).toEqual({ 'tx.queueDisabled': 1 });
    wire.host.firmware.setRingState(ring, RING_ENABLED);
    expect(reach(0, wire.mac(1))).toEqual([0, 1, 0, 0]);
  });

  it('drops and counts frames at a full ring, and stalls no other ring', () => {
    const frames = 200;
    const sent = { to: BROADCAST, from: wire.mac(0) };
    for (let i = 0; i < frames; i++) {
      wire.send(0, plainFrame(sent, 64, i));
      wire.run();
      expect(wire.received(2).length).toBe(1);
      expect(wire.received(3).length).toBe(1);
    }
    const posted = wire.guest(1).pair(0).receive.ring.outstanding;
    expect(wire.received(1).length).toBe(posted);
    expect(wire.drops(1, 'rx', 'ringFull')).toBe(frames - posted);
  });
});

describe('several receive queues', () => {
  it('keep each flow in one queue, in order', () => {
    const wire = new FirmwareWire([{ queuePairs: 1 }, { queuePairs: 4 }]);
    wire.postAll();
    const used = new Set<number>();
    for (let flow = 0; flow < 32; flow++) {
      for (let i = 0; i < 3; i++) {
        const from = `02:00:00:01:00:${(flow + 16).toString(16)}`;
        wire.send(0, plainFrame({ to: wire.mac(1), from }, 90, flow));
      }
      wire.run();
      const counts = [0, 2, 4, 6].map((queue) => wire.guest(1).ring(queue).usedIndex);
      wire.received(1);
      const total = counts.reduce((sum, count) => sum + count, 0);
      expect(total).toBe((flow + 1) * 3);
      counts.forEach((count, pair) => {
        if (count > 0) used.add(pair);
        expect(count % 3).toBe(0);
      });
    }
    expect(used.size).toBe(4);
    wire.close();
  });
});
