import { fstatSync } from 'node:fs';
import {
  COUNTER_COUNT,
  COUNTER_FAULT_REASONS,
  COUNTER_FAULTS,
  COUNTER_RECORD_SIZE,
} from '../../layout/counters.ts';
import { RING_BLOCK_SIZE, RING_COUNT_MAX } from '../../layout/limits.ts';
import {
  SHARED_ACCOUNTS,
  SHARED_COUNTERS,
  SHARED_FLOWS,
  SHARED_FUNCTIONS,
  SHARED_PORTS,
  SHARED_PROCESSORS,
  SHARED_RING_OWNERS,
  SHARED_RINGS,
  SHARED_SIZE,
  SHARED_VLANS,
} from '../../layout/memory.ts';
import {
  FLOW_RECORD_SIZE,
  FUNCTION_BEHIND_IOMMU,
  FUNCTION_RECORD_SIZE,
  NO_PORT,
  PORT_FIRST_RING,
  PORT_IS_UPLINK,
  PORT_LEARNED_MAX,
  PORT_RECEIVE_COUNT,
  PORT_RECORD_SIZE,
  RING_OWNER_PORT,
  RING_OWNER_SIZE,
} from '../../layout/port.ts';
import { PROCESSOR_RECORD_SIZE } from '../../layout/processor.ts';
import { ACCOUNT_SIZE } from '../../layout/scheduler.ts';
import { VLAN_SET_SIZE } from '../../layout/switch.ts';
import { RING_RECORD_SIZE } from '../../layout/virtqueue.ts';
import { c } from '../os/libc.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { writeFlowRecordOfNic } from './flow-record.ts';
import { freeLocks, markFaulted } from './last-will.ts';
import type { RingBlock } from './ring-numbers.ts';

/** The control plane's view of the memfd that every processor maps. */
export class SharedState {
  readonly fd: number;
  readonly view: DataView;
  readonly #words: Int32Array;
  readonly #counters: BigUint64Array;

  /** `savedFd`: the memfd of a saved state. */
  constructor(savedFd?: number) {
    const memory = new LinearMemory(SHARED_SIZE);
    this.fd = savedFd ?? createMemoryFile('heddle', SHARED_SIZE);
    try {
      memory.map(0, SHARED_SIZE, this.fd, 0);
      // An access beyond the end of a smaller file would raise SIGBUS.
      const { size } = fstatSync(this.fd);
      if (size !== SHARED_SIZE)
        throw new Error(`shared state of ${size} bytes, not ${SHARED_SIZE}`);
    } catch (error) {
      if (savedFd === undefined) c.close(this.fd);
      throw error;
    }
    this.view = new DataView(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    const words = RING_COUNT_MAX * COUNTER_COUNT;
    this.#counters = new BigUint64Array(memory.buffer, SHARED_COUNTERS, words);
    writeFlowRecordOfNic(this.view, SHARED_FLOWS);
  }

  ringField(ring: number, field: number): number {
    return this.view.getUint32(SHARED_RINGS + ring * RING_RECORD_SIZE + field, true);
  }

  setRingField(ring: number, field: number, value: number): void {
    this.view.setUint32(SHARED_RINGS + ring * RING_RECORD_SIZE + field, value, true);
  }

  /** Frees the locks of a processor that is dead. */
  freeLocks(processor: number): void {
    freeLocks(this.#words, SHARED_RINGS, processor);
  }

  /** From now on, no processor touches this ring. */
  markFaulted(ring: number): void {
    markFaulted(this.#words, SHARED_RINGS, ring);
  }

  portOffset(vf: number): number {
    return SHARED_PORTS + vf * PORT_RECORD_SIZE;
  }

  /** Whether frames can be delivered to a port. */
  isReceiving(vf: number): boolean {
    return this.view.getUint32(this.portOffset(vf) + PORT_RECEIVE_COUNT, true) > 0;
  }

  setUplink(vf: number): void {
    this.view.setUint32(this.portOffset(vf) + PORT_IS_UPLINK, 1, true);
  }

  /** Limits how many addresses the MAC table learns from a port. */
  setLearnedMax(vf: number, addresses: number): void {
    this.view.setUint32(this.portOffset(vf) + PORT_LEARNED_MAX, addresses, true);
  }

  flowOffset(vf: number): number {
    return SHARED_FLOWS + vf * FLOW_RECORD_SIZE;
  }

  processorField(processor: number, field: number): number {
    const at = SHARED_PROCESSORS + processor * PROCESSOR_RECORD_SIZE + field;
    return this.view.getUint32(at, true);
  }

  /** Increments a 32-bit word, which publishes everything written before it. */
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

  /**
   * Counts a fault that no processor counts: the ring is attached to none, or its processor died.
   */
  countFault(ring: number, fault: number): void {
    this.count(ring, COUNTER_FAULTS);
    this.count(ring, COUNTER_FAULT_REASONS + fault - 1);
  }

  /**
   * Resets a function's rings and records their owner. `port`: the function's place in the switch,
   * if any.
   */
  openRings({ first, count }: RingBlock, owner: number, port = NO_PORT): void {
    this.#counters.fill(0n, first * COUNTER_COUNT, (first + count) * COUNTER_COUNT);
    const records = SHARED_RINGS + first * RING_RECORD_SIZE;
    this.#clear(records, count * RING_RECORD_SIZE);
    for (let ring = first; ring < first + count; ring += RING_BLOCK_SIZE) {
      const at = SHARED_RING_OWNERS + (ring / RING_BLOCK_SIZE) * RING_OWNER_SIZE;
      this.view.setUint16(at, owner, true);
      this.view.setUint16(at + RING_OWNER_PORT, port, true);
    }
  }

  /** Resets a place in the switch. `firstRing`: the ring of the port's first queue. */
  openPort(port: number, firstRing: number): void {
    this.#clear(this.portOffset(port), PORT_RECORD_SIZE);
    this.#clear(this.flowOffset(port), FLOW_RECORD_SIZE);
    this.#clear(SHARED_VLANS + port * VLAN_SET_SIZE, VLAN_SET_SIZE);
    this.view.setUint32(this.portOffset(port) + PORT_FIRST_RING, firstRing, true);
  }

  /** Resets what a node of the schedule has had. */
  openAccount(node: number): void {
    this.#clear(SHARED_ACCOUNTS + node * ACCOUNT_SIZE, ACCOUNT_SIZE);
  }

  /** Whether the addresses that a function's guest uses are I/O virtual addresses. */
  setBehindIommu(owner: number, isBehindIommu: boolean): void {
    const at = SHARED_FUNCTIONS + owner * FUNCTION_RECORD_SIZE + FUNCTION_BEHIND_IOMMU;
    this.view.setUint32(at, isBehindIommu ? 1 : 0, true);
  }

  #clear(offset: number, sizeBytes: number): void {
    new Uint8Array(this.view.buffer).fill(0, offset, offset + sizeBytes);
  }

  close(): void {
    c.close(this.fd);
  }
}

if (COUNTER_RECORD_SIZE !== COUNTER_COUNT * 8) throw new Error('assertion: counter record size');
