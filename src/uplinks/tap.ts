import { operatorError } from '../errors.ts';
import { EACCES, EBUSY, EINVAL, EMFILE, ENFILE, ENODEV, ENOENT, EPERM } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import { bringUp, findNetDevice } from '../os/net-device.ts';
import { SystemError } from '../os/system-error.ts';
import { isMultiQueueTap, openTapQueue, type TapQueue } from '../os/tap.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { SourceListener, UplinkCapabilities, UplinkSource } from './uplink.ts';

/** virtio_net_hdr with num_buffers: what the rings hold. */
const HEADER_SIZE = 12;

export interface TapOptions {
  interface: string;
  queues: number;
  mtu: number;
}

/**
 * A TAP: the host itself is on the switch. An existing one may belong to an ordinary user
 * (`ip tuntap add … user`) and stays; one that is made here needs CAP_NET_ADMIN and goes with the
 * NIC.
 */
export class TapSource implements UplinkSource {
  readonly #options: TapOptions;
  readonly #watch: InterfaceWatch;
  #listener: SourceListener | null = null;
  #queues: TapQueue[] = [];
  /** Made by somebody else: then it is also theirs to bring back. */
  #isForeign = false;
  #isUp = false;
  #isLost = false;
  #index = 0;
  #stopWatching = () => {};

  constructor(options: TapOptions, watch: InterfaceWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    this.#isForeign = findNetDevice(this.#options.interface) !== null;
    this.#open();
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

  /** Compares the interface with what we know of it. */
  #look(): void {
    if (this.#listener === null || this.#isLost) return;
    const device = findNetDevice(this.#options.interface);
    if (this.#queues.length === 0) {
      this.#comeBack(device !== null);
      return;
    }
    if (device === null || device.index !== this.#index) this.#down('the interface is gone', true);
    else if (device.isUp && !this.#isUp) this.#up();
    else if (!device.isUp && this.#isUp) this.#down('the interface is down', false);
  }

  #comeBack(isThere: boolean): void {
    if (this.#isForeign && !isThere) return;
    try {
      this.#open();
    } catch {
      return; // not yet, or not ours: the next change of any interface is the next try
    }
    this.#look();
  }

  #open(): void {
    const { interface: name, queues, mtu } = this.#options;
    const isMultiQueue = isMultiQueueTap(name) ?? queues > 1;
    for (let i = 0; i < queues; i++) {
      const queue = openTapQueue(name, HEADER_SIZE, isMultiQueue);
      if (typeof queue === 'number') {
        this.#close();
        throw this.#explain(queue);
      }
      this.#queues.push(queue);
    }
    // An ordinary user may not: then whoever made it has to. The link says whether they did.
    bringUp(name, mtu);
    this.#index = findNetDevice(name)?.index ?? 0;
  }

  #explain(error: number): Error {
    const { interface: name } = this.#options;
    if (error === EPERM || error === EACCES) {
      const user = process.getuid?.() ?? 0;
      const way = `ip tuntap add ${name} mode tap user ${user} && ip link set ${name} up`;
      return operatorError('HEDDLE_UPLINK_RIGHTS', { operation: 'open the TAP', way, name });
    }
    if (error === EBUSY) return operatorError('HEDDLE_UPLINK_INTERFACE_BUSY', { name });
    if (error === EINVAL) return operatorError('HEDDLE_UPLINK_NOT_A_TAP', { name });
    if (error === ENOENT || error === ENODEV)
      return operatorError('HEDDLE_UPLINK_NO_TUN', { name });
    const failure = new SystemError('open /dev/net/tun', error);
    if (error === EMFILE || error === ENFILE) return failure;
    const { code } = failure;
    return operatorError('HEDDLE_KERNEL_REFUSED', {
      operation: `open the TAP ${name}`,
      errno: code,
    });
  }

  #up(): void {
    this.#isUp = true;
    const settings = this.#queues.map(({ fd }) => ({ kind: 'tap', fd }) as const);
    this.#listener?.onUp({ capabilities: this.#capabilities(), settings });
  }

  #down(reason: string, isLost: boolean): void {
    if (this.#isLost) return;
    this.#isLost = isLost;
    const wasUp = this.#isUp;
    this.#isUp = false;
    if (wasUp) this.#listener?.onDown(reason);
    else this.release();
  }

  #capabilities(): UplinkCapabilities {
    const has = (key: 'hasSegmentation' | 'hasUdpSegmentation') =>
      this.#queues.every((queue) => queue[key]);
    const kinds = has('hasUdpSegmentation') ? 'tcp and udp' : 'tcp';
    return {
      mtu: this.#options.mtu,
      checksum: has('hasSegmentation'),
      segmentation: has('hasSegmentation') ? kinds : 'none',
      vnetHeader: true,
      burst: 1,
      queues: this.#queues.length,
    };
  }

  #close(): void {
    for (const { fd } of this.#queues) c.close(fd);
    this.#queues = [];
  }
}
