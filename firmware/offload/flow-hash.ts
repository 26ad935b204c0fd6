// The hash of a flow as its receiver configured it (5.1.6.4.3), and the queue that its table
// selects. A VF without a table spreads its flows by the same hash, with the key that hardware uses
// by default.
//
//   frame ─► type: TCP, UDP or IP, if enabled ─► Toeplitz over addresses (and ports)

import { SHARED_BASE, SHARED_FLOWS } from '../../layout/memory';
import {
  FLOW_HASH_TYPES,
  FLOW_NIBBLE_SIZE,
  FLOW_QUEUES,
  FLOW_RECORD_OF_NIC,
  FLOW_RECORD_SIZE,
  FLOW_TABLE_MASK,
  FLOW_TOEPLITZ,
  FLOW_UNCLASSIFIED,
} from '../../layout/port';
import {
  PROTOCOL_NONE,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TYPE_IPV4,
  TYPE_IPV6,
} from '../../layout/protocols';
import { HASH_TYPE_IPV4, HASH_TYPE_IPV6 } from '../../layout/virtio';
import {
  EXTENSION_HEADERS_MAX,
  etherType,
  FRAGMENT_MASK,
  findNetwork,
  isExtension,
} from '../headers/headers';
import { ADDRESSES_SIZE } from '../headers/tags';

/** The type of the last hash: one bit of HASH_TYPES, or 0 if there is no hash. */
export let hashType: u32 = 0;

/** The value of `hash_report` for a type. */
export function reportOf(type: u32): u32 {
  return type == 0 ? 0 : ctz(type) + 1;
}

/** The receive queue for a frame, for a VF whose guest has set a table. */
export function queueByTable(port: u32, header: u32, length: u32): u32 {
  const record = recordOf(port);
  const hash = hashFlow(port, header, length, true);
  if (hashType == 0) return load<u32>(record, FLOW_UNCLASSIFIED);
  return u32(load<u8>(record + (hash & load<u32>(record, FLOW_TABLE_MASK)), FLOW_QUEUES));
}

/**
 * The hash that spreads the flows of a guest without a table; over the MAC addresses if there is no
 * IP. It is the same for all frames of a flow, so they stay in order.
 */
export function flowHash(header: u32, length: u32): u32 {
  const record = recordOf(FLOW_RECORD_OF_NIC);
  const hash = hashFlow(FLOW_RECORD_OF_NIC, header, length, true);
  return hashType != 0 ? hash : add(record, 0, header, ADDRESSES_SIZE, 0);
}

/** The hash of a frame for a port; sets `hashType`. `length`: the bytes that can be read. */
export function hashFlow(port: u32, header: u32, length: u32, hasPorts: bool): u32 {
  const record = recordOf(port);
  const types = load<u32>(record, FLOW_HASH_TYPES);
  hashType = 0;
  if (types == 0) return 0;
  const offset = findNetwork(header, length);
  const ip = header + offset;
  const room = length - offset;
  if (etherType == TYPE_IPV4 && room >= 20) return hashIpv4(record, types, ip, room, hasPorts);
  if (etherType == TYPE_IPV6 && room >= 40) return hashIpv6(record, types, ip, room, hasPorts);
  return 0;
}

function hashIpv4(record: u32, types: u32, ip: u32, room: u32, hasPorts: bool): u32 {
  const size = (u32(load<u8>(ip)) & 15) << 2;
  // Only the first fragment has ports, so all fragments of a datagram are hashed by addresses.
  const isFragment = (u32(load<u16>(ip, 6)) & FRAGMENT_MASK) != 0;
  const isReadable = hasPorts && !isFragment && size >= 20 && size + 4 <= room;
  const protocol = isReadable ? u32(load<u8>(ip, 9)) : PROTOCOL_NONE;
  hashType = chooseType(types, HASH_TYPE_IPV4, protocol);
  if (hashType == 0) return 0;
  const hash = add(record, 0, ip + 12, 8, 0);
  return hashType == HASH_TYPE_IPV4 ? hash : add(record, hash, ip + size, 4, 8);
}

/** Skips extension headers: the types that include them (IP_EX …) are not supported. */
function hashIpv6(record: u32, types: u32, ip: u32, room: u32, hasPorts: bool): u32 {
  let protocol = hasPorts ? u32(load<u8>(ip, 6)) : PROTOCOL_NONE;
  let offset: u32 = 40;
  for (let count: u32 = 0; isExtension(protocol) && offset + 8 <= room; count++) {
    if (count == EXTENSION_HEADERS_MAX) break;
    protocol = u32(load<u8>(ip + offset));
    offset += (u32(load<u8>(ip + offset, 1)) + 1) << 3;
  }
  if (offset + 4 > room) protocol = PROTOCOL_NONE;
  hashType = chooseType(types, HASH_TYPE_IPV6, protocol);
  if (hashType == 0) return 0;
  const hash = add(record, 0, ip + 8, 32, 0);
  return hashType == HASH_TYPE_IPV6 ? hash : add(record, hash, ip + offset, 4, 32);
}

/** The bits for TCP and UDP directly follow the bit of their IP version. */
function chooseType(types: u32, ipType: u32, protocol: u32): u32 {
  const tcp = ipType << 1;
  const udp = ipType << 2;
  if (protocol == PROTOCOL_TCP && (types & tcp) != 0) return tcp;
  if (protocol == PROTOCOL_UDP && (types & udp) != 0) return udp;
  return types & ipType;
}

/** Adds bytes to a hash by table lookup; `place` is their offset in the input. */
function add(record: u32, hash: u32, address: u32, length: u32, place: u32): u32 {
  let entries = record + place * (2 * FLOW_NIBBLE_SIZE);
  for (let i: u32 = 0; i < length; i++) {
    const byte = u32(load<u8>(address + i));
    hash ^= load<u32>(entries + ((byte >> 4) << 2), FLOW_TOEPLITZ);
    hash ^= load<u32>(entries + ((byte & 15) << 2), FLOW_TOEPLITZ + FLOW_NIBBLE_SIZE);
    entries += 2 * FLOW_NIBBLE_SIZE;
  }
  return hash;
}

function recordOf(port: u32): u32 {
  return SHARED_BASE + SHARED_FLOWS + port * FLOW_RECORD_SIZE;
}
