import { operatorError } from '../errors.ts';
import { EACCES, EMFILE, ENFILE, EPERM } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import { findNetDevice } from '../os/net-device.ts';
import { hasUdpSegmentation, openPacketSocket, PACKET_HEADER_SIZE } from '../os/packet-socket.ts';
import { SystemError } from '../os/system-error.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { SourceListener, UplinkSource } from './uplink.ts';
import { BURST_MAX } from './wire.ts';

export interface PacketOptions {
  interface: string;
  queues: number;
}

/** Fanout groups are named by 16 bits in a network namespace: ours follow from the process. */
let lastGroup = process.pid & 0xfff0;

/**
 * A packet socket on an interface that exists: a physical card, a veth. The guests are beside the
 * host on that network, not behind it; checksums and segmentation are left to the card and its
 * driver.
 */
export class PacketSource implements UplinkSource {
  readonly #options: PacketOptions;
  readonly #watch: InterfaceWatch;
  #listener: SourceListener | null = null;
  #fds: number[] = [];
  #index = 0;
  #isUp = false;
  #isLost = false;
  #stopWatching = () => {};

  constructor(options: PacketOptions, watch: InterfaceWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  async start(listener: SourceListener): Promise<void> {
    const { interface: name } = this.#options;
    const device = findNetDevice(name);
    if (device === null) throw operatorError('HEDDLE_UPLINK_INTERFACE_MISSING', { name });
    this.#open(device.index);
    this.#listener = listener;
    this.#stopWatching = this.#watch.add(() => this.#look());
    this.#look();
  }

  lose(reason: string): void {
    this.#down(reason, true);
  }

  release(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#close();
    this.#look();
  }

  async stop(): Promise<void> {
    this.#stopWatching();
    this.#listener = null;
    this.#close();
  }

  #look(): void {
    if (this.#listener === null || this.#isLost) return;
    const device = findNetDevice(this.#options.interface);
    if (this.#fds.length === 0) {
      if (device === null) return;
      try {
        this.#open(device.index);
      } catch {
        return; // the next change of any interface is the next try
      }
    }
    if (device === null || device.index !== this.#index) this.#down('the interface is gone', true);
    else if (device.isUp && !this.#isUp) this.#up(device.mtu);
    else if (!device.isUp && this.#isUp) this.#down('the interface is down', false);
  }

  #open(index: number): void {
    const { interface: name, queues } = this.#options;
    lastGroup = (lastGroup + 1) & 0xffff;
    for (let i = 0; i < queues; i++) {
      const fd = openPacketSocket(index, queues > 1 ? lastGroup : null);
      if (fd < 0) {
        this.#close();
        throw explain(-fd, name);
      }
      this.#fds.push(fd);
    }
    this.#index = index;
  }

  #up(mtu: number): void {
    this.#isUp = true;
    const settings = this.#fds.map(
      (fd) => ({ kind: 'message', fd, headerSize: PACKET_HEADER_SIZE }) as const,
    );
    const capabilities = {
      mtu,
      checksum: true,
      segmentation: hasUdpSegmentation() ? 'tcp and udp' : 'tcp',
      vnetHeader: true,
      burst: BURST_MAX,
      queues: this.#fds.length,
    } as const;
    this.#listener?.onUp({ capabilities, settings });
  }

  #down(reason: string, isLost: boolean): void {
    if (this.#isLost) return;
    this.#isLost = isLost;
    const wasUp = this.#isUp;
    this.#isUp = false;
    if (wasUp) this.#listener?.onDown(reason);
    else this.release();
  }

  #close(): void {
    for (const fd of this.#fds) c.close(fd);
    this.#fds = [];
  }
}

function explain(error: number, name: string): Error {
  if (error === EPERM || error === EACCES) {
    const operation = 'open a packet socket';
    const way = 'setcap cap_net_raw+ep "$(readlink -f "$(command -v node)")"';
    return operatorError('HEDDLE_UPLINK_RIGHTS', { operation, way, name });
  }
  const failure = new SystemError('socket', error);
  if (error === EMFILE || error === ENFILE) return failure;
  const operation = `open a packet socket on ${name}`;
  return operatorError('HEDDLE_KERNEL_REFUSED', { operation, errno: failure.code });
}
