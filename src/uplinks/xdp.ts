import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError, operatorError } from '../errors.ts';
import { c } from '../os/libc.ts';
import { loadXdpLibrary } from '../os/libxdp.ts';
import { processLimit } from '../os/limits.ts';
import { countReceiveQueues, type NetDevice } from '../os/net-device.ts';
import { holdPromiscuity } from '../os/packet-socket.ts';
import { SystemError } from '../os/system-error.ts';
import { XdpProgram } from '../os/xdp-program.ts';
import { sumStatistics, XDP_HEADROOM, XdpSocket, type XdpStatistics } from '../os/xdp-socket.ts';
import { systemRefusal } from '../system-refusal.ts';
import { PAIR_SIZE } from '../wires/port-memory.ts';
import { BURST_MAX } from '../wires/wire.ts';
import { freeChunks, XDP_CHUNK_SIZE, XDP_RING_SIZE } from '../wires/xdp-wire.ts';
import type { XdpChoices } from './config.ts';
import { nextGeneration } from './generations.ts';
import { InterfaceSource } from './interface-source.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { PortFile, SourceListener, Wires } from './uplink.ts';

/** What errors of the kernel and libxdp mean when they refuse a socket or a program. */
const MEANINGS = {
  EPERM: 'HEDDLE_UPLINK_RIGHTS',
  EACCES: 'HEDDLE_UPLINK_RIGHTS',
  ENOTSUP: 'HEDDLE_UPLINK_XDP_MODE', // EOPNOTSUPP, as Node names it
  EBUSY: 'HEDDLE_UPLINK_XDP_BUSY',
  EINVAL: 'HEDDLE_UPLINK_XDP_QUEUES',
  ENODEV: 'HEDDLE_UPLINK_INTERFACE_MISSING',
  ENOENT: 'HEDDLE_UPLINK_XDP_MISSING',
  ENOBUFS: 'HEDDLE_UPLINK_XDP_MEMLOCK',
} as const;

export interface XdpOptions extends XdpChoices {
  interface: string;
  queues: number;
}

/** Ethernet header and one VLAN tag, which an MTU does not include. */
const LINK_HEADER_SIZE_MAX = 18;
/** The largest MTU whose frames fit into one chunk each. */
const CHUNK_MTU_MAX = XDP_CHUNK_SIZE - XDP_HEADROOM - LINK_HEADER_SIZE_MAX;

const MIB = 0x100000;

/** The kernel frees the queue of a closed socket some milliseconds later. */
const BUSY_TRIES = 20;
const BUSY_MILLISECONDS = 20;

interface Opened {
  program: XdpProgram;
  sockets: XdpSocket[];
  promiscuityFd: number;
  place: 'native' | 'generic';
  generation: number;
}

/**
 * AF_XDP sockets, one for each queue of an existing interface. Their frames are in the memory of
 * the port itself. The host sees nothing of what arrives on these queues.
 */
export class XdpSource extends InterfaceSource<never> {
  readonly #options: XdpOptions;
  #opened: Opened | null = null;

  constructor(options: XdpOptions, watch: InterfaceWatch) {
    super(options.interface, watch);
    this.#options = options;
  }

  override async start(listener: SourceListener, file: PortFile): Promise<void> {
    for (let left = BUSY_TRIES; ; left--) {
      try {
        await super.start(listener, file);
        return;
      } catch (error) {
        if (left === 0 || !this.isPassing(error)) throw error;
        await sleep(BUSY_MILLISECONDS);
      }
    }
  }

  protected override isPassing(error: unknown): boolean {
    return error instanceof OperatorError && error.code === 'HEDDLE_UPLINK_XDP_BUSY';
  }

  /** Frames of several chunks cost a driver its zero-copy mode: used only if the MTU needs it. */
  protected override isOutgrown({ mtu }: NetDevice): boolean {
    const { program, sockets } = this.#opened ?? {};
    const couldMore = program?.hasFragments === true && sockets?.[0]?.wantsFragments === false;
    return mtu > CHUNK_MTU_MAX && couldMore;
  }

  protected open(device: NetDevice | null): number {
    const { interface: name, queues } = this.#options;
    if (device === null) throw operatorError('HEDDLE_UPLINK_INTERFACE_MISSING', { name });
    const present = countReceiveQueues(name);
    if (present !== null && present > 0 && present < queues) {
      throw operatorError('HEDDLE_UPLINK_XDP_QUEUES', { name, queues });
    }
    try {
      loadXdpLibrary();
    } catch (error) {
      throw operatorError('HEDDLE_UPLINK_XDP_MISSING', { reason: (error as Error).message });
    }
    try {
      this.#opened = this.#openAll(device);
    } catch (error) {
      throw explain(error, this.#options);
    }
    return device.index;
  }

  protected close(): void {
    const opened = this.#opened;
    this.#opened = null;
    if (opened === null) return;
    // The program first: frames then go to the host, not to sockets that are closing.
    opened.program.close();
    for (const socket of opened.sockets) socket.close();
    c.close(opened.promiscuityFd);
  }

  /** A program is libxdp's as long as it is attached, and libxdp is of this process. */
  protected saveOpened(): null {
    return null;
  }

  protected adopt(): void {}

  protected wires({ mtu, speed }: NetDevice): Wires {
    const opened = this.#opened;
    if (opened === null) throw new Error('assertion: wires of what is not open');
    const { sockets, place, generation } = opened;
    const takesLarge = sockets.every((socket) => socket.hasFragments);
    const isZeroCopy = sockets.every((socket) => socket.isZeroCopy);
    const settings = sockets.map(
      (socket) =>
        ({
          kind: 'xdp',
          fd: socket.fd,
          offsets: socket.offsets,
          generation,
          isZeroCopy: socket.isZeroCopy,
        }) as const,
    );
    const capabilities = {
      mtu: takesLarge ? mtu : Math.min(mtu, CHUNK_MTU_MAX),
      checksum: false,
      // A card verifies checksums from its wire; frames that never were on a wire may be
      // incomplete.
      checksumFromWorld: !isZeroCopy,
      segmentation: 'none',
      vnetHeader: false,
      burst: BURST_MAX,
      queues: sockets.length,
      ...(speed === 0 ? {} : { speed }),
      mode: `${place}, ${isZeroCopy ? 'zero-copy' : 'copy'}`,
    } as const;
    return { capabilities, settings };
  }

  kernelStats(): XdpStatistics | undefined {
    return this.#opened === null ? undefined : sumStatistics(this.#opened.sockets);
  }

  /** Throws a SystemError, and then leaves nothing open. */
  #openAll(device: NetDevice): Opened {
    const program = XdpProgram.load();
    const sockets: XdpSocket[] = [];
    let promiscuityFd = -1;
    try {
      const wantsFragments = program.hasFragments && device.mtu > CHUNK_MTU_MAX;
      for (let queue = 0; queue < this.#options.queues; queue++) {
        sockets.push(this.#openSocket(queue, wantsFragments));
      }
      for (const socket of sockets) program.insert(socket);
      promiscuityFd = holdPromiscuity(device.index);
      if (promiscuityFd < 0) throw new SystemError('packet socket', -promiscuityFd);
      const place = program.attach(device.index, this.#options.attach);
      return { program, sockets, promiscuityFd, place, generation: nextGeneration() };
    } catch (error) {
      program.close();
      for (const socket of sockets) socket.close();
      if (promiscuityFd >= 0) c.close(promiscuityFd);
      throw error;
    }
  }

  #openSocket(queue: number, wantsFragments: boolean): XdpSocket {
    const memoryFd = this.file?.fd ?? -1;
    return XdpSocket.open({
      interface: this.#options.interface,
      queue,
      memoryFd,
      memoryOffset: queue * PAIR_SIZE,
      memorySize: PAIR_SIZE,
      chunkSize: XDP_CHUNK_SIZE,
      ringSize: XDP_RING_SIZE,
      freeChunks: freeChunks(memoryFd, queue),
      wantsFragments,
      zeroCopy: this.#options.zeroCopy,
    });
  }
}

function explain(error: unknown, options: XdpOptions): unknown {
  const { interface: name, queues, attach, zeroCopy } = options;
  if (!(error instanceof SystemError)) return error;
  const { message } = error;
  const capabilities = 'cap_net_raw,cap_net_admin,cap_bpf+ep';
  const parameters = {
    name,
    queues,
    operation: `use AF_XDP on ${name}`,
    way: `setcap ${capabilities} "$(readlink -f "$(command -v node)")"`,
    wish: `attach: ${attach}, zeroCopy: ${zeroCopy}`,
    reason: message,
    needed: (queues * PAIR_SIZE) / MIB,
    limit: Math.floor(processLimit('Max locked memory') / MIB),
  };
  const operation = `use AF_XDP on ${name} (${message})`;
  return systemRefusal(error, operation, MEANINGS, parameters) ?? error;
}
