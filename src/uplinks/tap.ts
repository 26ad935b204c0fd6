import { operatorError } from '../errors.ts';
import { c } from '../os/libc.ts';
import { bringUp, findNetDevice, type NetDevice } from '../os/net-device.ts';
import { SystemError } from '../os/system-error.ts';
import { isMultiQueueTap, openTapQueue, type TapQueue } from '../os/tap.ts';
import { systemRefusal } from '../system-refusal.ts';
import { InterfaceSource } from './interface-source.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { UplinkCapabilities } from './types.ts';
import type { Wires } from './uplink.ts';

/** virtio_net_hdr with num_buffers, as in the rings. */
const HEADER_SIZE = 12;

/** What the kernel's errors mean when it refuses a TAP. */
const MEANINGS = {
  EPERM: 'HEDDLE_UPLINK_RIGHTS',
  EACCES: 'HEDDLE_UPLINK_RIGHTS',
  EBUSY: 'HEDDLE_UPLINK_INTERFACE_BUSY',
  EINVAL: 'HEDDLE_UPLINK_NOT_A_TAP',
  ENOENT: 'HEDDLE_UPLINK_NO_TUN',
  ENODEV: 'HEDDLE_UPLINK_NO_TUN',
} as const;

export interface TapOptions {
  interface: string;
  queues: number;
  mtu: number;
}

interface TapOpened {
  queues: TapQueue[];
  isForeign: boolean;
}

/**
 * A TAP: the host itself is on the switch. An existing one may belong to an ordinary user
 * (`ip tuntap add … user`) and is kept; creating one needs CAP_NET_ADMIN, and it vanishes with the
 * NIC.
 */
export class TapSource extends InterfaceSource<TapOpened> {
  readonly #options: TapOptions;
  #queues: TapQueue[] = [];
  /** Somebody else created it, so it is up to them to restore it. */
  #isForeign: boolean | null = null;

  constructor(options: TapOptions, watch: InterfaceWatch) {
    super(options.interface, watch);
    this.#options = options;
  }

  protected open(device: NetDevice | null): number {
    const { interface: name, queues, mtu } = this.#options;
    this.#isForeign ??= device !== null;
    if (this.#isForeign && device === null) {
      throw operatorError('HEDDLE_UPLINK_INTERFACE_MISSING', { name });
    }
    const isMultiQueue = isMultiQueueTap(name) ?? queues > 1;
    for (let i = 0; i < queues; i++) {
      const queue = openTapQueue(name, HEADER_SIZE, isMultiQueue);
      if (typeof queue === 'number') {
        this.close();
        throw this.#explain(queue);
      }
      this.#queues.push(queue);
    }
    // An ordinary user may not: the uplink is down until the creator of the TAP does it.
    bringUp(name, mtu);
    return findNetDevice(name)?.index ?? 0;
  }

  protected close(): void {
    for (const { fd } of this.#queues) c.close(fd);
    this.#queues = [];
  }

  protected saveOpened(): TapOpened {
    return { queues: this.#queues, isForeign: this.#isForeign === true };
  }

  protected adopt({ queues, isForeign }: TapOpened): void {
    this.#queues = [...queues];
    this.#isForeign = isForeign;
  }

  protected wires(): Wires {
    const settings = this.#queues.map(({ fd }) => ({ kind: 'tap', fd }) as const);
    return { capabilities: this.#capabilities(), settings };
  }

  #explain(errno: number): unknown {
    const { interface: name } = this.#options;
    const user = process.getuid?.() ?? 0;
    const way = `ip tuntap add ${name} mode tap user ${user} && ip link set ${name} up`;
    const error = new SystemError('open /dev/net/tun', errno);
    const operation = `open the TAP ${name}`;
    return systemRefusal(error, operation, MEANINGS, { operation, way, name }) ?? error;
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
}
