import type { Poller } from '../os/poller.ts';
import type { UplinkConfig } from './config.ts';
import { DgramSource } from './dgram.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import { InternalSource } from './internal-source.ts';
import { PacketSource } from './packet.ts';
import { PasstSource } from './passt.ts';
import { StreamSource } from './stream.ts';
import { TapSource } from './tap.ts';
import type { UplinkSource } from './uplink.ts';
import { VdeSource } from './vde.ts';
import { XdpSource } from './xdp.ts';

export interface Surroundings {
  poller: Poller;
  watch: InterfaceWatch;
}

export function createSource(config: UplinkConfig, around: Surroundings): UplinkSource {
  switch (config.type) {
    case 'loopback':
    case 'null':
      return new InternalSource(config.type, config.mtu);
    case 'stream':
      return new StreamSource(config, around.poller);
    case 'dgram':
      return new DgramSource(config, around.poller);
    case 'passt':
      return new PasstSource(config, around.poller);
    case 'vde':
      return new VdeSource(config, around.poller);
    case 'packet':
      return new PacketSource(config, around.watch);
    case 'xdp':
      return new XdpSource(config, around.watch);
    case 'tap':
      return new TapSource(config, around.watch);
  }
}
