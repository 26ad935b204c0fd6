import {
  HASH_TYPES,
  NET_STATUS_LINK_UP,
  RSS_KEY_SIZE,
  RSS_TABLE_LENGTH_MAX,
} from '../../../layout/virtio.ts';
import { CONFIG_SPACE_SIZE } from '../../vhost-user/device.ts';
import { viewOf } from '../../vhost-user/message.ts';

/** TAP reports the same. Memory has no line speed, but a guest's bonding driver wants one. */
const SPEED_MBPS = 10_000;
const FULL_DUPLEX = 1;

export interface NetConfigSpace {
  mac: Uint8Array;
  isLinkUp: boolean;
  queuePairs: number;
  mtu: number;
}

/**
 * struct virtio_net_config (5.1.4): mac[6], status, max_virtqueue_pairs, mtu, speed, duplex,
 * rss_max_key_size, rss_max_indirection_table_length, supported_hash_types. The rest reads as zero.
 */
export function netConfigSpace({ mac, isLinkUp, queuePairs, mtu }: NetConfigSpace): Uint8Array {
  const space = new Uint8Array(CONFIG_SPACE_SIZE);
  const view = viewOf(space);
  space.set(mac, 0);
  view.setUint16(6, isLinkUp ? NET_STATUS_LINK_UP : 0, true);
  view.setUint16(8, queuePairs, true);
  view.setUint16(10, mtu, true);
  view.setUint32(12, SPEED_MBPS, true);
  view.setUint8(16, FULL_DUPLEX);
  view.setUint8(17, RSS_KEY_SIZE);
  view.setUint16(18, RSS_TABLE_LENGTH_MAX, true);
  view.setUint32(20, HASH_TYPES, true);
  return space;
}
