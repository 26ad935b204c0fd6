import { readFileSync } from 'node:fs';
import * as counters from '../../layout/counters.ts';
import { CONTROL_QUEUE, QUESTION_TURNS, RING_BLOCK_SIZE } from '../../layout/limits.ts';
import * as memory from '../../layout/memory.ts';
import * as processor from '../../layout/processor.ts';
import { FDB_SET_COUNT } from '../../layout/switch.ts';
import * as vf from '../../layout/vf.ts';
import { VIRTIO_F_INDIRECT_DESC, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import * as virtqueue from '../../layout/virtqueue.ts';
import { ringOffloads } from '../../src/functions/net/ring-features.ts';
import type { VfStats } from '../../src/functions/net/types.ts';
import type { NicStats } from '../../src/nic/types.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import type { Firmware as ProcessorFirmware } from '../../src/processor/firmware.ts';
import { DROP_NAMES } from '../../src/state/counter-names.ts';
import { writeFlowRecordOfNic } from '../../src/state/flow-record.ts';
import { addressNumber } from '../../src/state/mac-table.ts';
import {
  type VlanSettings,
  vlanOfOwnAddress,
  writePortWord,
  writeVlanSet,
} from '../../src/state/vlan.ts';
import type { DriverQueue } from '../../src/testing/driver-queue.ts';
import { macNumber } from '../../src/testing/frames.ts';
import type { GuestRegion } from '../../src/testing/guest-memory.ts';
import type { GuestQueues } from '../../src/testing/guest-queues.ts';

const FIRMWARE = new URL('../../dist/firmware/heddle.wasm', import.meta.url);
const PAGE_SIZE = 4096;

/** What dist/firmware/heddle.wasm exports: what the processor uses, and parts that tests call. */
export interface Firmware extends ProcessorFirmware {
  copy(to: number, from: number, length: number): void;
  flowHash(header: number, length: number): number;
  checksum(address: number, length: number): number;
  learn(address: bigint, vf: number, target: bigint): void;
  lookup(address: bigint): number;
}

interface HostedGuest {
  queues: GuestQueues;
  mac: string;
  regions: readonly GuestRegion[];
}

export interface HostOptions {
  slotCount?: number;
  macAgeSeconds?: number;
}

/** The firmware's module, for tests that look at it instead of running it. */
export function firmwareModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(FIRMWARE));
}

/**
 * The firmware in this very thread, with this class as its host: it maps windows, writes ring
 * records, and calls `turn` whenever a test says so. Time is whatever the test sets.
 */
export class FirmwareHost {
  readonly linear = new LinearMemory(2 ** 32);
  readonly view = new DataView(this.linear.buffer);
  readonly bytes = new Uint8Array(this.linear.buffer);
  readonly firmware: Firmware;
  readonly slotCount: number;
  readonly slotsBase: number;
  readonly guests = new Map<number, HostedGuest>();
  /** Rings that the firmware wants their guests called for, in order. */
  readonly signals: number[] = [];
  readonly faults: number[] = [];
  misses = 0;
  evictions = 0;
  #pins: number;

  constructor(options: HostOptions = {}) {
    const imports = { env: { memory: this.linear.memory } };
    const instance = new WebAssembly.Instance(firmwareModule(), imports);
    this.firmware = instance.exports as unknown as Firmware;
    this.slotCount = options.slotCount ?? 64;
    const base = this.linear.base + memory.SLOTS_BASE;
    const aligned = Math.ceil(base / memory.SLOT_SIZE) * memory.SLOT_SIZE;
    this.slotsBase = aligned - this.linear.base;
    this.#pins = memory.PINS_BASE;
    writeFlowRecordOfNic(this.view, memory.SHARED_BASE + memory.SHARED_FLOWS);
    this.firmware.configure(0, 1, options.macAgeSeconds ?? 300);
    for (let slot = 0; slot < this.slotCount; slot++) {
      this.linear.unmap(this.slotAddress(slot), memory.SLOT_SIZE); // a stray access traps
    }
  }

  /** Attaches a guest's rings to a VF, as the control plane does after the handshake. */
  addGuest(number: number, queues: GuestQueues, mac: string): void {
    this.guests.set(number, { queues, mac, regions: queues.memory.regions });
    this.#openRings(number);
    for (let queue = 0; queue < queues.queueCount; queue++) this.attach(number, queue);
    const record = this.vfRecord(number);
    this.view.setBigUint64(record + vf.VF_MAC, macNumber(mac), true);
    this.setReceiveQueues(
      number,
      queues.pairs.map((_, pair) => pair * 2),
    );
    this.firmware.setPort(number, 1);
  }

  setReceiveQueues(number: number, receive: readonly number[]): void {
    const record = this.vfRecord(number);
    this.bytes.set(receive, record + vf.VF_RECEIVE_QUEUES);
    this.view.setUint32(record + vf.VF_RECEIVE_COUNT, receive.length, true);
  }

  /** Moves a VF to other VLANs, as the control plane does between two turns. */
  setVlans(number: number, settings: VlanSettings): void {
    this.firmware.forgetPort(number, 0, FDB_SET_COUNT);
    const record = this.vfRecord(number);
    writePortWord(this.view, record, settings);
    writeVlanSet(this.view, memory.SHARED_BASE, number, settings);
    const address = addressNumber(this.#guest(number).mac, vlanOfOwnAddress(settings));
    this.view.setBigUint64(record + vf.VF_MAC, address, true);
    this.firmware.setPort(number, 1);
  }

  attach(number: number, queue: number, state: number = virtqueue.RING_ENABLED): void {
    const guest = this.#guest(number);
    const ring = guest.queues.queue(queue);
    this.#writeRingRecord(this.ringNumber(number, queue), guest.queues, ring, state);
    this.firmware.attachRing(
      this.ringNumber(number, queue),
      this.#pin(guest, ring.descriptors),
      this.#pin(guest, ring.avail),
      this.#pin(guest, ring.used),
      state,
      queue & 1,
    );
  }

  /** Whether frames for a VF are joined, as the control plane says it. */
  setGro(number: number, isOn: boolean): void {
    for (let queue = 0; queue < this.#guest(number).queues.queueCount; queue += 2) {
      const flags = this.ringWord(number, queue, virtqueue.RING_FLAGS);
      const rest = flags & ~virtqueue.RING_F_GRO;
      const record = this.ringNumber(number, queue) * virtqueue.RING_RECORD_SIZE;
      const at = memory.SHARED_BASE + memory.SHARED_RINGS + record + virtqueue.RING_FLAGS;
      this.view.setUint32(at, isOn ? rest | virtqueue.RING_F_GRO : rest, true);
    }
  }

  /** Guest n is function n and port n; its rings have numbers from n × CONTROL_QUEUE on. */
  #openRings(number: number): void {
    const first = this.ringNumber(number, 0);
    this.view.setUint32(this.vfRecord(number) + vf.VF_FIRST_RING, first, true);
    for (let ring = first; ring < first + CONTROL_QUEUE; ring += RING_BLOCK_SIZE) {
      const block = (ring / RING_BLOCK_SIZE) * vf.RING_OWNER_SIZE;
      const at = this.sharedAddress(memory.SHARED_RING_OWNERS + block);
      this.view.setUint16(at, number, true);
      this.view.setUint16(at + vf.RING_OWNER_PORT, number, true);
    }
  }

  ringNumber(number: number, queue: number): number {
    return number * CONTROL_QUEUE + queue;
  }

  slotAddress(slot: number): number {
    return this.slotsBase + slot * memory.SLOT_SIZE;
  }

  /** One call of the firmware, and what the host does after it. Returns the flags. */
  turn(whom: number = processor.INTERRUPT_ALL): number {
    const flags = this.firmware.turn(whom);
    if ((flags & processor.TURN_MISSED) !== 0) this.mapMissing();
    this.collect();
    return flags;
  }

  /** Takes what the firmware has listed for the host. */
  collect(): void {
    this.#collect(processor.CONTROL_SIGNAL_COUNT, memory.SIGNAL_LIST_BASE, this.signals);
    this.#collect(processor.CONTROL_FAULT_COUNT, memory.FAULT_LIST_BASE, this.faults);
  }

  /** Turns until nothing is left to do. Returns the number of turns. */
  run(turnsMax = 10_000): number {
    let idle = 0;
    for (let turns = 1; turns <= turnsMax; turns++) {
      const flags = this.turn();
      const isBusy = (flags & (processor.TURN_WORKED | processor.TURN_MISSED)) !== 0;
      // After a miss the turn goes on behind the ring that missed: only two idle turns are idle.
      idle = isBusy ? 0 : idle + 1;
      if (idle === 2) return turns;
    }
    throw new Error(`the firmware is still busy after ${turnsMax} turns`);
  }

  /** Turns until nothing is left to do, and for so long that no question is remembered. */
  settle(): void {
    this.run();
    for (let turns = 0; turns <= QUESTION_TURNS; turns++) this.turn();
  }

  /** Answers a miss: a window, "there is no such memory", or "no slot is free". */
  mapMissing(): void {
    const number = this.control(processor.CONTROL_MISS_VF);
    const at = memory.CONTROL_BASE + processor.CONTROL_MISS_ADDRESS;
    const address = this.view.getBigUint64(at, true);
    this.misses += 1;
    const region = this.#regionOf(number, address);
    if (region === undefined) {
      this.setControl(processor.CONTROL_INVALID_VF, number + 1);
      const answer = memory.CONTROL_BASE + processor.CONTROL_INVALID_ADDRESS;
      this.view.setBigUint64(answer, address, true);
      return;
    }
    const slot = this.firmware.chooseSlot(this.slotCount, number);
    if (slot < 0) {
      this.setControl(processor.CONTROL_EXHAUSTED, 1);
      return;
    }
    this.evict(slot);
    this.#mapWindow(number, region, Number(address), slot);
  }

  /** Takes a window away, if the slot holds one. */
  evict(slot: number): void {
    const record = memory.WINDOW_SLOTS_BASE + slot * memory.SLOT_RECORD_SIZE;
    if (this.view.getBigUint64(record + memory.SLOT_KEY, true) === 0n) return;
    this.firmware.removeWindow(slot);
    this.linear.unmap(this.slotAddress(slot), memory.SLOT_SIZE);
    this.evictions += 1;
  }

  /** The keys of all windows that the firmware knows. */
  windowKeys(): bigint[] {
    const keys = Array.from({ length: memory.SLOT_COUNT_MAX }, (_, slot) => {
      const record = memory.WINDOW_SLOTS_BASE + slot * memory.SLOT_RECORD_SIZE;
      return this.view.getBigUint64(record + memory.SLOT_KEY, true);
    });
    return keys.filter((key) => key !== 0n);
  }

  control(word: number): number {
    return this.view.getUint32(memory.CONTROL_BASE + word, true);
  }

  setControl(word: number, value: number): void {
    this.view.setUint32(memory.CONTROL_BASE + word, value, true);
  }

  sharedAddress(offset: number): number {
    return memory.SHARED_BASE + offset;
  }

  vfRecord(number: number): number {
    return this.sharedAddress(memory.SHARED_VFS + number * vf.VF_RECORD_SIZE);
  }

  /** As if a batch had passed. */
  nextBatch(): void {
    const stamp = this.control(processor.CONTROL_BATCH_STAMP);
    this.setControl(processor.CONTROL_BATCH_STAMP, stamp + 1);
  }

  setNow(seconds: number): void {
    this.setControl(processor.CONTROL_NOW_SECONDS, seconds);
  }

  counter(number: number, queue: number, counter: number): number {
    const ring = this.ringNumber(number, queue);
    const record = memory.SHARED_COUNTERS + ring * counters.COUNTER_RECORD_SIZE;
    return Number(this.view.getBigUint64(memory.SHARED_BASE + record + counter * 8, true));
  }

  ringWord(number: number, queue: number, word: number): number {
    const ring = this.ringNumber(number, queue);
    const record = memory.SHARED_RINGS + ring * virtqueue.RING_RECORD_SIZE;
    return this.view.getUint32(memory.SHARED_BASE + record + word, true);
  }

  /** The counters in the shape of the NIC's own, so that the same assertions serve both. */
  stats(): NicStats {
    const vfs = [...this.guests].map(([number, guest]) => this.#vfStats(number, guest));
    return { name: 'firmware', uptimeSeconds: 0, vfs, uplinks: [], processors: [] };
  }

  #vfStats(number: number, guest: HostedGuest): VfStats {
    const queues = Array.from({ length: guest.queues.queueCount }, (_, queue) => queue);
    const total = (direction: number, counter: number): number =>
      queues
        .filter((queue) => (queue & 1) === direction)
        .reduce((sum, queue) => sum + this.counter(number, queue, counter), 0);
    const side = (direction: number) => ({
      packets: total(direction, counters.COUNTER_PACKETS),
      bytes: total(direction, counters.COUNTER_BYTES),
      interrupts: total(direction, counters.COUNTER_INTERRUPTS),
      windowMisses: total(direction, counters.COUNTER_WINDOW_MISSES),
      faults: total(direction, counters.COUNTER_FAULTS),
      faultReasons: {},
      drops: Object.fromEntries(
        DROP_NAMES.map((name, reason) => [name, total(direction, counters.COUNTER_DROPS + reason)]),
      ),
    });
    const forwarded = total(1, counters.COUNTER_FORWARDED);
    const replicas = total(1, counters.COUNTER_REPLICAS);
    const kicks = total(1, counters.COUNTER_KICKS);
    const tx = { ...side(1), forwarded, replicas, kicks };
    const offered = total(0, counters.COUNTER_OFFERED);
    const segments = total(0, counters.COUNTER_SEGMENTS);
    const checksums = total(0, counters.COUNTER_CHECKSUMS);
    const coalesced = total(0, counters.COUNTER_GRO);
    const rx = { ...side(0), offered, segments, coalesced, checksums };
    const addresses = {
      learned: this.view.getInt32(this.vfRecord(number) + vf.VF_LEARNED_COUNT, true),
      unlearned: Number(this.view.getBigUint64(this.vfRecord(number) + vf.VF_UNLEARNED, true)),
    };
    const name = `vf${number}`;
    const { mac } = guest;
    return { name, mac, state: 'ready', link: 'up', addresses, tx, rx, queues: [] };
  }

  #guest(number: number): HostedGuest {
    const guest = this.guests.get(number);
    if (guest === undefined) throw new Error(`assertion: no guest at VF ${number}`);
    return guest;
  }

  #regionOf(number: number, address: bigint): GuestRegion | undefined {
    return this.#guest(number).regions.find((region) => {
      const first = BigInt(region.guestAddress);
      return address >= first && address < first + BigInt(region.sizeBytes);
    });
  }

  #mapWindow(number: number, region: GuestRegion, address: number, slot: number): void {
    const chunk = Math.floor(address / memory.SLOT_SIZE);
    const start = chunk * memory.SLOT_SIZE;
    const low = Math.max(region.guestAddress - start, 0);
    const end = Math.min(region.guestAddress + region.sizeBytes - start, memory.SLOT_SIZE);
    const base = this.slotAddress(slot);
    const fileOffset = region.fileOffset + start + low - region.guestAddress;
    this.linear.map(base + low, end - low, region.fd, fileOffset);
    const key = ((BigInt(number) + 1n) << 48n) | BigInt(chunk);
    this.firmware.insertWindow(key, low, end - low, base, slot);
  }

  /** Maps a part of a ring for good. Returns its linear address. */
  #pin(guest: HostedGuest, part: { address: number; length: number }): number {
    const region = guest.regions.find(
      ({ guestAddress, sizeBytes }) =>
        part.address >= guestAddress && part.address < guestAddress + sizeBytes,
    );
    if (region === undefined) throw new Error('assertion: the ring lies in no region');
    const first = Math.floor(part.address / PAGE_SIZE) * PAGE_SIZE;
    const end = Math.ceil((part.address + part.length) / PAGE_SIZE) * PAGE_SIZE;
    const at = this.#pins;
    const fileOffset = region.fileOffset + first - region.guestAddress;
    this.linear.map(at, end - first, region.fd, fileOffset);
    this.#pins += end - first;
    return at + part.address - first;
  }

  #writeRingRecord(number: number, queues: GuestQueues, ring: DriverQueue, state: number): void {
    const { view } = this;
    const at = memory.SHARED_BASE + memory.SHARED_RINGS + number * virtqueue.RING_RECORD_SIZE;
    let flags = 0;
    if (queues.features.has(VIRTIO_NET_F_MRG_RXBUF)) flags |= virtqueue.RING_F_MERGEABLE;
    if (ring.eventIndex) flags |= virtqueue.RING_F_EVENT_INDEX;
    if (ring.inOrder) flags |= virtqueue.RING_F_IN_ORDER;
    if (queues.features.has(VIRTIO_F_INDIRECT_DESC)) flags |= virtqueue.RING_F_INDIRECT;
    if (ring.isPacked) flags |= virtqueue.RING_F_PACKED;
    const place = ring.base & 0xffff;
    view.setUint32(at + virtqueue.RING_STATE, state, true);
    view.setUint32(at + virtqueue.RING_SIZE, ring.size, true);
    view.setUint32(at + virtqueue.RING_FLAGS, flags, true);
    view.setUint32(at + virtqueue.RING_LAST_AVAIL, place, true);
    view.setUint32(at + virtqueue.RING_USED_INDEX, place, true);
    view.setUint32(at + virtqueue.RING_SIGNALLED_USED, place, true);
    view.setUint32(at + virtqueue.RING_FAULT, 0, true);
    view.setUint32(at + virtqueue.RING_FLOOD_NEXT, 0, true);
    view.setUint32(at + virtqueue.RING_MTU, queues.options.mtu ?? 0, true);
    view.setUint32(at + virtqueue.RING_HEADER_SIZE, queues.headerSize, true);
    const features = [...queues.features].reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
    const isTransmit = (number & 1) === 1;
    view.setUint32(at + virtqueue.RING_OFFLOADS, ringOffloads(features, isTransmit), true);
  }

  #collect(countWord: number, list: number, target: number[]): void {
    const count = this.control(countWord);
    for (let i = 0; i < count; i++) target.push(this.view.getUint32(list + i * 4, true));
    this.setControl(countWord, 0);
  }
}
