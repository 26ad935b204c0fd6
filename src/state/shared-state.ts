import {
  COUNTER_COUNT,
  COUNTER_FAULT_REASONS,
  COUNTER_FAULTS,
  COUNTER_RECORD_SIZE,
} from '../../layout/counters.ts';
import { QUEUE_COUNT_MAX, RING_NUMBER_COUNT } from '../../layout/limits.ts';
import {
  SHARED_COUNTERS,
  SHARED_FLOWS,
  SHARED_PROCESSORS,
  SHARED_RINGS,
  SHARED_SIZE,
  SHARED_VFS,
  SHARED_VLANS,
} from '../../layout/memory.ts';
import { PROCESSOR_RECORD_SIZE } from '../../layout/processor.ts';
import { VLAN_SET_SIZE } from '../../layout/switch.ts';
import {
  FLOW_RECORD_SIZE,
  VF_IS_UPLINK,
  VF_LEARNED_MAX,
  VF_RECEIVE_COUNT,
  VF_RECORD_SIZE,
} from '../../layout/vf.ts';
import { RING_RECORD_SIZE } from '../../layout/virtqueue.ts';
import { c } from '../os/libc.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { writeFlowRecordOfNic } from './flow-record.ts';
import { freeLocks, markFaulted } from './last-will.ts';
import { CONTROL_QUEUE, ringNumber } from './ring-number.ts';

/** The memfd that every processor maps, seen from the control plane. */
export class SharedState {
  readonly fd = createMemoryFile('heddle', SHARED_SIZE);
  readonly view: DataView;
  readonly #words: Int32Array;
  readonly #counters: BigUint64Array;

  constructor() {
    const memory = new LinearMemory(SHARED_SIZE);
    memory.map(0, SHARED_SIZE, this.fd, 0);
    this.view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    const words = RING_NUMBER_COUNT * COUNTER_COUNT;
    this.#counters = new BigUint64Array(memory.buffer, SHARED_COUNTERS, words);
    writeFlowRecordOfNic(this.view, SHARED_FLOWS);
  }

  ringField(ring: number, field: number): number {
    return this.view.getUint32(SHARED_RINGS + ring * RING_RECORD_SIZE + field, true);
  }

  setRingField(ring: number, field: number, value: number): void {
    this.view.setUint32(SHARED_RINGS + ring * RING_RECORD_SIZE + field, value, true);
  }

  /** Whoever held them is dead. */
  freeLocks(processor: number): void {
    freeLocks(this.#words, SHARED_RINGS, processor);
  }

  /** All processors leave a ring alone from now on. */
  markFaulted(ring: number): void {
    markFaulted(this.#words, SHARED_RINGS, ring);
  }

  vfOffset(vf: number): number {
    return SHARED_VFS + vf * VF_RECORD_SIZE;
  }

  /** Whether frames can be delivered to a port. */
  isReceiving(vf: number): boolean {
    return this.view.getUint32(this.vfOffset(vf) + VF_RECEIVE_COUNT, true) > 0;
  }

  setUplink(vf: number): void {
    this.view.setUint32(this.vfOffset(vf) + VF_IS_UPLINK, 1, true);
  }

  /** Addresses that a port may teach the MAC table. */
  setLearnedMax(vf: number, addresses: number): void {
    this.view.setUint32(this.vfOffset(vf) + VF_LEARNED_MAX, addresses, true);
  }

  flowOffset(vf: number): number {
    return SHARED_FLOWS + vf * FLOW_RECORD_SIZE;
  }

  processorField(processor: number, field: number): number {
    const at = SHARED_PROCESSORS + processor * PROCESSOR_RECORD_SIZE + field;
    return this.view.getUint32(at, true);
  }

  /** Raises a 32-bit word and so publishes what was written before. */
  ring(processor: number, field: number): void {
    const at = SHARED_PROCESSORS + processor * PROCESSOR_RECORD_SIZE + field;
    Atomics.add(this.#words, at / 4, 1);
  }

  counter(ring: number, counter: number): number {
    return Number(this.#counters[ring * COUNTER_COUNT + counter] ?? 0n);
  }

  /** Adds one to a counter that no processor writes any more. */
  count(ring: number, counter: number): void {
    const at = ring * COUNTER_COUNT + counter;
    this.#counters[at] = (this.#counters[at] ?? 0n) + 1n;
  }

  /** A fault that no processor counts: of a ring that none of them has, or that one died of. */
  countFault(ring: number, fault: number): void {
    this.count(ring, COUNTER_FAULTS);
    this.count(ring, COUNTER_FAULT_REASONS + fault - 1);
  }

  /** A VF number that is used again starts from nothing. */
  clearVf(vf: number): void {
    this.#clearRings(ringNumber(vf, 0), QUEUE_COUNT_MAX);
    this.#clearRings(ringNumber(vf, CONTROL_QUEUE), 1);
    const bytes = new Uint8Array(this.view.buffer);
    bytes.fill(0, this.vfOffset(vf), this.vfOffset(vf) + VF_RECORD_SIZE);
    bytes.fill(0, this.flowOffset(vf), this.flowOffset(vf) + FLOW_RECORD_SIZE);
    const vlans = SHARED_VLANS + vf * VLAN_SET_SIZE;
    bytes.fill(0, vlans, vlans + VLAN_SET_SIZE);
  }

  #clearRings(first: number, rings: number): void {
    this.#counters.fill(0n, first * COUNTER_COUNT, (first + rings) * COUNTER_COUNT);
    const records = SHARED_RINGS + first * RING_RECORD_SIZE;
    const bytes = new Uint8Array(this.view.buffer);
    bytes.fill(0, records, records + rings * RING_RECORD_SIZE);
  }

  close(): void {
    c.close(this.fd);
  }
}

if (COUNTER_RECORD_SIZE !== COUNTER_COUNT * 8) throw new Error('assertion: counter record size');
