import { operatorError } from '../errors.ts';
import { GuestMemory, type MemoryRegion, type MemoryState } from '../memory/guest-memory.ts';
import type { Pin, PinAllocator } from '../memory/pins.ts';
import { createEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { packetRingSize } from '../wires/packet-ring-wire.ts';
import { PAIR_SIZE } from '../wires/port-memory.ts';
import { allocateRooms, pinOfPair, regionsOfPair } from '../wires/port-regions.ts';
import type { WireSettings } from '../wires/wires.ts';
import type { UplinkConfig } from './config.ts';
import type { PortFile } from './uplink.ts';

export interface PortRoomsState {
  memory: MemoryState;
  pins: Pin[];
  callFds: number[];
}

/**
 * What the ports of an uplink work in, as long as it exists: a file of memory, a place in the pins
 * for each queue pair, and an eventfd by which each is called.
 */
export class PortRooms {
  readonly memory = new GuestMemory(() => false);
  readonly callFds: number[] = [];
  readonly #allocator: PinAllocator;
  readonly #pins: Pin[] = [];

  constructor(allocator: PinAllocator) {
    this.#allocator = allocator;
  }

  /** Throws an OperatorError if there is no room. What has been taken then is to be freed. */
  allocate({ name, type }: Pick<UplinkConfig, 'name' | 'type'>, pairs: number): void {
    const sizeBytes = pairs * PAIR_SIZE;
    const fd = createMemoryFile(`heddle-${name}`, sizeBytes);
    const zero = { guestAddress: 0n, userAddress: 0n, fileOffset: 0n };
    const problem = this.memory.add({ ...zero, sizeBytes: BigInt(sizeBytes) }, fd);
    if (problem !== null) throw new Error(`assertion: memory of an uplink: ${problem}`);
    const ringBytes = type === 'packet' ? packetRingSize(pairs) : 0;
    const rooms = allocateRooms(this.#allocator, pairs, ringBytes);
    if (rooms === null) {
      throw operatorError('HEDDLE_UPLINK_ROOM', { received: `${pairs} more on ${name}` });
    }
    const { lengthBytes } = rooms;
    for (const [pair, pinOffset] of rooms.pinOffsets.entries()) {
      const place = { pinOffset, lengthBytes, partOffset: 0 };
      this.#pins.push({ ...place, fd, fileOffset: pair * PAIR_SIZE });
      this.callFds.push(createEventFd());
    }
  }

  save(): PortRoomsState {
    const [pins, callFds] = [this.#pins, this.callFds];
    return structuredClone({ memory: this.memory.save(), pins, callFds });
  }

  /** In place of `allocate`. Throws if somebody has one of the places in the pins. */
  restore(state: PortRoomsState): void {
    const { memory, pins, callFds } = structuredClone(state);
    this.memory.restore(memory);
    this.callFds.push(...callFds);
    for (const pin of pins) {
      if (!this.#allocator.claim(pin.pinOffset, pin.lengthBytes)) {
        throw new Error('its place in the pins is taken');
      }
      this.#pins.push(pin);
    }
  }

  free(): void {
    for (const pin of this.#pins) this.#allocator.free(pin.pinOffset, pin.lengthBytes);
    for (const { fd } of this.memory.takeAll()) c.close(fd);
    for (const fd of this.callFds) c.close(fd);
  }

  /** For a source: the file, and whether a ring of the kernel's can be mapped beside each pair. */
  get file(): PortFile {
    const [room] = this.#pins;
    const hasRingRoom = room !== undefined && room.lengthBytes > PAIR_SIZE;
    return { fd: this.fd, pairs: this.#pins.length, hasRingRoom };
  }

  get fd(): number {
    return this.memory.regions[0]?.fd ?? -1;
  }

  /** What a processor maps for a queue pair. */
  pinOf(pair: number, wire: WireSettings): Pin {
    return pinOfPair(this.#roomOf(pair), wire);
  }

  /** Where the firmware finds the frames of all queue pairs. */
  regions(wires: readonly WireSettings[]): MemoryRegion[] {
    return wires.flatMap((wire, pair) => regionsOfPair(this.#roomOf(pair), pair, wire));
  }

  callFdOf(pair: number): number {
    return this.callFds[pair] ?? -1;
  }

  #roomOf(pair: number): Pin {
    const room = this.#pins[pair];
    if (room === undefined) throw new Error('assertion: wire without a pair');
    return room;
  }
}
