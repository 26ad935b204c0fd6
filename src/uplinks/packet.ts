import { operatorError } from '../errors.ts';
import { c } from '../os/libc.ts';
import type { NetDevice } from '../os/net-device.ts';
import {
  addReceiveRing,
  fanoutGroupOf,
  hasUdpSegmentation,
  NEW_FANOUT_GROUP,
  openPacketSocket,
  PACKET_HEADER_SIZE,
  takeDropCount,
} from '../os/packet-socket.ts';
import { errorName, SystemError } from '../os/system-error.ts';
import {
  closeTransmitRing,
  mapTransmitRing,
  openTransmitRing,
  type TransmitRing,
  unmapTransmitRing,
} from '../os/transmit-ring.ts';
import { systemRefusal } from '../system-refusal.ts';
import { packetRing, packetRingSize } from '../wires/packet-ring-wire.ts';
import { BURST_MAX } from '../wires/wire.ts';
import type { WireSettings } from '../wires/wires.ts';
import { nextGeneration } from './generations.ts';
import { InterfaceSource } from './interface-source.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { KernelStats } from './kernel-stats.ts';
import type { Wires } from './uplink.ts';

/** What the kernel's errors mean when it refuses a packet socket. */
const MEANINGS = { EPERM: 'HEDDLE_UPLINK_RIGHTS', EACCES: 'HEDDLE_UPLINK_RIGHTS' } as const;

export interface PacketOptions {
  interface: string;
  queues: number;
}

interface PacketOpened {
  fds: number[];
  /** −1: there is none. */
  longRingFds: number[];
  ringProblem: string | null;
  generation: number;
  ringFull: number;
}

/**
 * A packet socket on an existing interface: a physical card, a veth. The guests are on that network
 * beside the host, not behind it. Checksums and segmentation are left to the card and its driver.
 */
export class PacketSource extends InterfaceSource<PacketOpened> {
  readonly #options: PacketOptions;
  #fds: number[] = [];
  /** For frames that the sockets themselves refuse: see transmit-ring.ts. */
  #longRings: (TransmitRing | null)[] = [];
  /** Why the sockets have no rings. */
  #ringProblem: string | null = null;
  #generation = 0;
  /** Added up here: reading the kernel's counter clears it. */
  #ringFull = 0;

  constructor(options: PacketOptions, watch: InterfaceWatch) {
    super(options.interface, watch);
    this.#options = options;
  }

  protected open(device: NetDevice | null): number {
    const { interface: name, queues } = this.#options;
    if (device === null) throw operatorError('HEDDLE_UPLINK_INTERFACE_MISSING', { name });
    let group = queues > 1 ? NEW_FANOUT_GROUP : null;
    for (let i = 0; i < queues; i++) {
      const fd = openPacketSocket(device.index, group);
      if (fd < 0) {
        this.close();
        throw explain(-fd, name);
      }
      this.#fds.push(fd);
      this.#longRings.push(openTransmitRing(device.index));
      if (group === NEW_FANOUT_GROUP) group = fanoutGroupOf(fd);
    }
    this.#addRings();
    return device.index;
  }

  kernelStats(): KernelStats {
    this.#countDrops();
    return { drops: { receiveRingFull: this.#ringFull } };
  }

  #countDrops(): void {
    for (const fd of this.#fds) this.#ringFull += takeDropCount(fd);
  }

  protected close(): void {
    this.#countDrops();
    for (const fd of this.#fds) c.close(fd);
    for (const ring of this.#longRings) if (ring !== null) closeTransmitRing(ring);
    this.#fds = [];
    this.#longRings = [];
  }

  protected saveOpened(): PacketOpened {
    this.#countDrops();
    return {
      fds: this.#fds,
      longRingFds: this.#longRings.map((ring) => ring?.fd ?? -1),
      ringProblem: this.#ringProblem,
      generation: this.#generation,
      ringFull: this.#ringFull,
    };
  }

  protected adopt(opened: PacketOpened): void {
    this.#fds = [...opened.fds];
    this.#longRings = opened.longRingFds.map((fd) => (fd < 0 ? null : mapTransmitRing(fd)));
    this.#ringProblem = opened.ringProblem;
    this.#generation = opened.generation;
    this.#ringFull = opened.ringFull;
  }

  leave(): void {
    for (const ring of this.#longRings) if (ring !== null) unmapTransmitRing(ring);
  }

  protected wires({ mtu, speed }: NetDevice): Wires {
    const settings = this.#fds.map((fd, pair) => this.#wireOf(fd, this.#longRings[pair]));
    const problem = this.#ringProblem;
    const capabilities = {
      mtu,
      checksum: true,
      segmentation: hasUdpSegmentation() ? 'tcp and udp' : 'tcp',
      vnetHeader: true,
      burst: BURST_MAX,
      queues: this.#fds.length,
      ...(speed === 0 ? {} : { speed }),
      mode: problem === null ? 'mapped ring' : `messages (no ring: ${problem})`,
    } as const;
    return { capabilities, settings };
  }

  /** All sockets get a ring or none: without one, messages are read. */
  #addRings(): void {
    this.#generation = nextGeneration();
    const hasRoom = this.file?.hasRingRoom === true;
    this.#ringProblem = hasRoom ? null : 'no address space left';
    if (!hasRoom) return;
    for (const fd of this.#fds) {
      const result = addReceiveRing(fd, packetRing(this.#options.queues));
      if (result < 0) this.#ringProblem = errorName(-result);
    }
  }

  #wireOf(fd: number, ring: TransmitRing | null | undefined): WireSettings {
    const generation = this.#generation;
    const long = ring ? { ...ring, generation } : undefined;
    if (this.#ringProblem !== null) {
      return { kind: 'message', fd, headerSize: PACKET_HEADER_SIZE, long };
    }
    const sizeBytes = packetRingSize(this.#options.queues);
    return { kind: 'packet-ring', fd, sizeBytes, generation, long };
  }
}

function explain(errno: number, name: string): unknown {
  const way = 'setcap cap_net_raw+ep "$(readlink -f "$(command -v node)")"';
  const error = new SystemError('socket', errno);
  const operation = `open a packet socket on ${name}`;
  return systemRefusal(error, operation, MEANINGS, { operation, way }) ?? error;
}
