import type { UplinkConfig } from '../config/types.ts';
import type { Poller } from '../os/poller.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import { InternalSource } from './internal-source.ts';
import { PacketSource } from './packet.ts';
import { TapSource } from './tap.ts';
import type { UplinkSource } from './uplink.ts';

export interface Surroundings {
  poller: Poller;
  watch: InterfaceWatch;
}

export function createSource(config: UplinkConfig, around: Surroundings): UplinkSource {
  switch (config.type) {
    case 'loopback':
    case 'null':
      return new InternalSource(config.type, config.mtu);
    case 'packet':
      return new PacketSource(config, around.watch);
    case 'tap':
      return new TapSource(config, around.watch);
  }
}
