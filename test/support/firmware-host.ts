import { CONTROL_QUEUE } from '../../layout/limits.ts';
import * as memory from '../../layout/memory.ts';
import * as ports from '../../layout/port.ts';
import * as processor from '../../layout/processor.ts';
import { FDB_SET_COUNT } from '../../layout/switch.ts';
import { VIRTIO_NET_F_MTU } from '../../layout/virtio.ts';
import * as virtqueue from '../../layout/virtqueue.ts';
import { ControlSettings } from '../../src/functions/net/control-settings.ts';
import { writeNetRing } from '../../src/functions/net/ring-features.ts';
import type { MemoryRegion } from '../../src/memory/guest-memory.ts';
import {
  distinctPins,
  type FilePart,
  type Pin,
  PinAllocator,
  planPins,
} from '../../src/memory/pins.ts';
import { type WindowFirmware, Windows } from '../../src/memory/windows.ts';
import type { NicStats } from '../../src/nic/types.ts';
import { c } from '../../src/os/libc.ts';
import type { LinearMemory } from '../../src/os/linear-memory.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { AddressSpace } from '../../src/processor/address-space.ts';
import { Misses } from '../../src/processor/misses.ts';
import { addressNumber } from '../../src/state/mac-table.ts';
import { SharedState } from '../../src/state/shared-state.ts';
import {
  type VlanSettings,
  vlanOfOwnAddress,
  writePortWord,
  writeVlanSet,
} from '../../src/state/vlan.ts';
import type { DriverQueue } from '../../src/testing/driver-queue.ts';
import { macNumber } from '../../src/testing/frames.ts';
import type { Span } from '../../src/testing/guest-memory.ts';
import type { GuestQueues } from '../../src/testing/guest-queues.ts';
import { createRing, type Ring } from '../../src/virtqueue/ring.ts';
import { writeRingRecord } from '../../src/virtqueue/ring-record.ts';
import { createRingSetup } from '../../src/virtqueue/ring-setup.ts';
import { type Firmware, firmwareModule } from './firmware-module.ts';
import { firmwareStats } from './firmware-stats.ts';

const PAGE_SIZE = 4096;
/** Guests of these tests set nothing through their control queues. */
const SETTINGS = new ControlSettings();

interface HostedGuest {
  queues: GuestQueues;
  mac: string;
  regions: readonly MemoryRegion[];
}

export interface HostOptions {
  slotCount?: number;
  macAgeSeconds?: number;
}

/**
 * The firmware in this thread, with a processor's address space, windows and shared state. The test
 * calls `turn` and sets the time.
 */
export class FirmwareHost {
  readonly shared = new SharedState();
  readonly linear: LinearMemory;
  readonly view: DataView;
  readonly bytes: Uint8Array;
  firmware: Firmware;
  readonly windows: Windows;
  readonly guests = new Map<number, HostedGuest>();
  /** Rings whose guests the firmware wants interrupted, in order. */
  readonly signals: number[] = [];
  readonly faults: number[] = [];
  readonly #space = new AddressSpace(this.shared.fd);
  readonly #misses: Misses;
  readonly #options: HostOptions;
  readonly #allocator = new PinAllocator();
  readonly #pins = new Map<number, readonly Pin[]>();
  /** The clock, and what passes when the firmware looks at it: pauses end only if time passes. */
  nanoseconds = 1e12;
  nanosecondsPerLook = 1000;
  /** Of that time, the thread has not had its CPU for so long. */
  nanosecondsLost = 0;
  /** What passes at each look, in place of a number: a model of what the work since costs. */
  costOfLook: () => number = () => this.nanosecondsPerLook;
  /** The part of what passes at a look for which the thread does not have its CPU. */
  partLost = 0;

  constructor(options: HostOptions = {}) {
    this.shared.close(); // it stays mapped
    this.linear = this.#space.memory;
    this.view = new DataView(this.linear.buffer);
    this.bytes = new Uint8Array(this.linear.buffer);
    this.#options = options;
    this.firmware = this.#start();
    const slots = options.slotCount ?? 64;
    const limited: WindowFirmware = {
      insertWindow: (...window) => this.firmware.insertWindow(...window),
      removeWindow: (slot) => this.firmware.removeWindow(slot),
      chooseSlot: (_, owner) => this.firmware.chooseSlot(slots, owner),
    };
    const { slotsOffset, pinsOffset } = this.#space;
    this.windows = new Windows(this.linear, limited, slotsOffset, pinsOffset);
    this.#misses = new Misses(this.windows, this.linear.buffer, () => 0);
  }

  #start(): Firmware {
    const clock = { now: this.#now, cpuTime: () => (this.nanoseconds - this.nanosecondsLost) | 0 };
    const imports = { env: { memory: this.linear.memory }, clock };
    const instance = new WebAssembly.Instance(firmwareModule(), imports);
    const firmware = instance.exports as unknown as Firmware;
    firmware.configure(0, 1, this.#options.macAgeSeconds ?? 300);
    this.#setClock(firmware);
    return firmware;
  }

  /** Starts a new instance over the same memory: the variables of the firmware are lost. */
  restart(): void {
    this.firmware = this.#start();
  }

  get misses(): number {
    return this.windows.misses;
  }

  get evictions(): number {
    return this.windows.evictions;
  }

  /** Maps ordinary memory at a given address. */
  mapPlain(address: number, sizeBytes: number): void {
    const fd = createMemoryFile('plain', sizeBytes);
    this.linear.map(address, sizeBytes, fd, 0);
    c.close(fd);
  }

  /** Attaches a guest's rings to a VF, as the control plane does after the handshake. */
  addGuest(number: number, queues: GuestQueues, mac: string): void {
    const regions = queues.memory.regions.map((region) => ({
      ...region,
      pageSizeBytes: PAGE_SIZE,
      uses: 1,
    }));
    this.guests.set(number, { queues, mac, regions });
    this.windows.setRegions(number, regions);
    const first = this.ringNumber(number, 0);
    this.shared.openRings({ first, count: CONTROL_QUEUE }, number, number);
    this.shared.openPort(number, first);
    for (let queue = 0; queue < queues.queueCount; queue++) this.attach(number, queue);
    const record = this.portRecord(number);
    this.view.setBigUint64(record + ports.PORT_MAC, macNumber(mac), true);
    this.setReceiveQueues(
      number,
      queues.pairs.map((_, pair) => pair * 2),
    );
    this.firmware.setPort(number, 1);
  }

  setReceiveQueues(number: number, receive: readonly number[]): void {
    const record = this.portRecord(number);
    this.bytes.set(receive, record + ports.PORT_RECEIVE_QUEUES);
    this.view.setUint32(record + ports.PORT_RECEIVE_COUNT, receive.length, true);
  }

  /** Changes the VLANs of a VF, as the control plane does between two turns. */
  setVlans(number: number, settings: VlanSettings): void {
    this.firmware.forgetPort(number, 0, FDB_SET_COUNT);
    const record = this.portRecord(number);
    writePortWord(this.view, record, settings);
    writeVlanSet(this.view, memory.SHARED_BASE, number, settings);
    const address = addressNumber(this.#guest(number).mac, vlanOfOwnAddress(settings));
    this.view.setBigUint64(record + ports.PORT_MAC, address, true);
    this.firmware.setPort(number, 1);
  }

  attach(number: number, queue: number, state: number = virtqueue.RING_ENABLED): void {
    const guest = this.#guest(number);
    const driver = guest.queues.queue(queue);
    const ring = this.#ringOf(number, queue, driver);
    this.#writeRecord(ring, guest, driver, state);
    const [descriptors = 0, avail = 0, used = 0] = this.#pin(ring.number, guest, driver);
    const isTransmit = (queue & 1) === 1;
    const kind = isTransmit ? virtqueue.RING_KIND_TRANSMIT : virtqueue.RING_KIND_RECEIVE;
    this.firmware.attachRing(ring.number, descriptors, avail, used, state, kind);
  }

  /** Whether GRO joins frames for a VF, as the control plane sets it. */
  setGro(number: number, isOn: boolean): void {
    for (let queue = 0; queue < this.#guest(number).queues.queueCount; queue += 2) {
      const rest = this.ringWord(number, queue, virtqueue.RING_FLAGS) & ~virtqueue.RING_F_GRO;
      const flags = isOn ? rest | virtqueue.RING_F_GRO : rest;
      this.shared.setRingField(this.ringNumber(number, queue), virtqueue.RING_FLAGS, flags);
    }
  }

  /** Guest n is function n and port n. Its rings are numbered from n × CONTROL_QUEUE. */
  ringNumber(number: number, queue: number): number {
    return number * CONTROL_QUEUE + queue;
  }

  slotAddress(slot: number): number {
    return this.#space.slotsOffset + slot * memory.SLOT_SIZE;
  }

  /** Calls the firmware once, and does the host's work after it. Returns the flags. */
  turn(whom: number = processor.INTERRUPT_ALL): number {
    const flags = this.firmware.turn(whom);
    if ((flags & processor.TURN_MISSED) !== 0) this.mapMissing();
    this.collect();
    return flags;
  }

  /** Processes what the firmware has listed for the host. */
  collect(): void {
    this.#collect(processor.REGISTER_SIGNAL_COUNT, memory.SIGNAL_LIST_BASE, this.signals);
    this.#collect(processor.REGISTER_FAULT_COUNT, memory.FAULT_LIST_BASE, this.faults);
  }

  /** Takes turns until nothing is left to do, and nobody waits. Returns the number of turns. */
  run(turnsMax = 10_000): number {
    let turns = this.work(turnsMax);
    for (let wake = this.#wake(); wake >= 0; wake = this.#wake()) {
      this.pass(wake * 1000 + 1000);
      turns += this.work(turnsMax - turns);
    }
    return turns;
  }

  /** Takes turns until nothing can be done now. Returns the number of turns. */
  work(turnsMax = 10_000): number {
    let idle = 0;
    for (let turns = 1; turns <= turnsMax; turns++) {
      const flags = this.turn();
      const isBusy = (flags & (processor.TURN_BUSY | processor.TURN_MISSED)) !== 0;
      // After a miss, a turn continues behind the ring that missed: only two idle turns mean idle.
      idle = isBusy ? 0 : idle + 1;
      if (idle === 2) return turns;
    }
    throw new Error(`the firmware is still busy after ${turnsMax} turns`);
  }

  #wake(): number {
    return this.firmware.wakeMicroseconds();
  }

  /** Takes turns until nothing is left to do, and lets a second pass. */
  settle(): void {
    this.run();
    this.pass(1e9);
  }

  /** Lets so many nanoseconds pass. The clock stands still otherwise. */
  pass(nanoseconds: number): void {
    this.nanoseconds += nanoseconds;
    this.#setClock(this.firmware);
  }

  readonly #now = (): number => {
    const passed = this.costOfLook();
    this.nanoseconds += passed;
    this.nanosecondsLost += passed * this.partLost;
    return this.nanoseconds | 0;
  };

  #setClock(firmware: Firmware): void {
    firmware.setClock(Math.floor(this.nanoseconds / 1e9), this.nanoseconds % 1e9);
  }

  /** Answers a miss: a window, "no such memory", or "no free slot". */
  mapMissing(): void {
    this.#misses.resolve();
  }

  /** Removes the windows of a VF, as a change of its memory between two turns does. */
  forgetWindows(number: number): void {
    this.windows.setRegions(number, []);
    while (this.windows.hasLeftovers) this.windows.sweep();
    this.windows.setRegions(number, this.#guest(number).regions);
  }

  /** The keys of all windows that the firmware knows. */
  windowKeys(): bigint[] {
    const keys = Array.from({ length: memory.SLOT_COUNT_MAX }, (_, slot) => {
      const record = memory.WINDOW_SLOTS_BASE + slot * memory.SLOT_RECORD_SIZE;
      return this.view.getBigUint64(record + memory.SLOT_KEY, true);
    });
    return keys.filter((key) => key !== 0n);
  }

  register(word: number): number {
    return this.view.getUint32(memory.REGISTERS_BASE + word, true);
  }

  setRegister(word: number, value: number): void {
    this.view.setUint32(memory.REGISTERS_BASE + word, value, true);
  }

  sharedAddress(offset: number): number {
    return memory.SHARED_BASE + offset;
  }

  portRecord(number: number): number {
    return this.sharedAddress(memory.SHARED_PORTS + number * ports.PORT_RECORD_SIZE);
  }

  /** Advances as if a batch had passed. */
  nextBatch(): void {
    const stamp = this.register(processor.REGISTER_BATCH_STAMP);
    this.setRegister(processor.REGISTER_BATCH_STAMP, stamp + 1);
  }

  setNow(seconds: number): void {
    this.setRegister(processor.REGISTER_NOW_SECONDS, seconds);
  }

  counter(number: number, queue: number, counter: number): number {
    return this.shared.counter(this.ringNumber(number, queue), counter);
  }

  ringWord(number: number, queue: number, word: number): number {
    return this.shared.ringField(this.ringNumber(number, queue), word);
  }

  /** The counters in the form of a NIC's, so that the same assertions work for both. */
  stats(): NicStats {
    const vfs = [...this.guests].map(([number, { queues, mac }]) => {
      const firstRing = this.ringNumber(number, 0);
      return { number, mac, firstRing, queuePairs: queues.pairs.length };
    });
    return firmwareStats(this.shared, vfs);
  }

  #guest(number: number): HostedGuest {
    const guest = this.guests.get(number);
    if (guest === undefined) throw new Error(`assertion: no guest at VF ${number}`);
    return guest;
  }

  /** A ring's record as the control plane writes it when the set-up is complete. */
  #ringOf(number: number, queue: number, driver: DriverQueue): Ring {
    const { features: bits, options } = this.#guest(number).queues;
    const known = options.mtu === undefined ? bits : [...bits, VIRTIO_NET_F_MTU];
    const features = [...known].reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
    const role = (queue & 1) === 1 ? 'transmit' : 'receive';
    const setup = { ...createRingSetup(), size: driver.size, base: driver.base };
    return createRing(queue, this.ringNumber(number, queue), { role, setup, features, pins: null });
  }

  #writeRecord(ring: Ring, guest: HostedGuest, driver: DriverQueue, state: number): void {
    writeRingRecord(this.shared, ring);
    const { mtu = 0 } = guest.queues.options;
    writeNetRing(this.shared, ring, { guest: SETTINGS, hasGro: false, mtu });
    this.shared.setRingField(ring.number, virtqueue.RING_STATE, state);
    if (driver.isPacked) return;
    // As in a processor: a split ring resumes at its used index.
    for (const field of [
      virtqueue.RING_LAST_AVAIL,
      virtqueue.RING_USED_INDEX,
      virtqueue.RING_SIGNALLED_USED,
    ]) {
      this.shared.setRingField(ring.number, field, driver.base);
    }
  }

  /** Maps the parts of a ring permanently. Returns their linear addresses. */
  #pin(number: number, guest: HostedGuest, driver: DriverQueue): number[] {
    for (const old of distinctPins(this.#pins.get(number) ?? [])) {
      this.#space.unmapPin(old);
      this.#allocator.free(old.pinOffset, old.lengthBytes);
    }
    const parts = [driver.descriptors, driver.avail, driver.used];
    const pins = planPins(
      this.#allocator,
      parts.map((part) => filePart(guest.regions, part)),
    );
    if (pins === null) throw new Error('assertion: no room for pins');
    this.#pins.set(number, pins);
    for (const pin of distinctPins(pins)) this.#space.mapPin(pin);
    return pins.map((pin) => this.#space.addressOf(pin));
  }

  #collect(countWord: number, list: number, target: number[]): void {
    const count = this.register(countWord);
    for (let i = 0; i < count; i++) target.push(this.view.getUint32(list + i * 4, true));
    this.setRegister(countWord, 0);
  }
}

/** Where a part of a ring is in its guest's files. */
function filePart(regions: readonly MemoryRegion[], part: Span): FilePart {
  const region = regions.find(
    ({ guestAddress, sizeBytes }) =>
      part.address >= guestAddress && part.address < guestAddress + sizeBytes,
  );
  if (region === undefined) throw new Error('assertion: the ring lies in no region');
  const offset = region.fileOffset + part.address - region.guestAddress;
  return { fd: region.fd, offset, lengthBytes: part.length, pageSizeBytes: PAGE_SIZE };
}
