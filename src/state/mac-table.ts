import { SHARED_FDB } from '../../layout/memory.ts';
import { PORT_MAC } from '../../layout/port.ts';
import {
  FDB_DISTANCE_BITS,
  FDB_DISTANCE_SHIFT,
  FDB_MULTIPLIER_HIGH,
  FDB_MULTIPLIER_LOW,
  FDB_PORT_BITS,
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_STAMPS,
  FDB_STATIC_BIT,
  FDB_TAG_BITS,
  FDB_WAYS,
} from '../../layout/switch.ts';
import type { SharedState } from './shared-state.ts';

export interface MacTableEntry {
  mac: string;
  /** 0: no VLAN. VLAN_ANY: all VLANs of its port. */
  vlan: number;
  /** Port number, of a VF or an uplink. */
  port: number;
  ageSeconds: number;
  isStatic: boolean;
}

/** The entries of the MAC table in shared state, without those that have aged out. */
export function readMacTable(
  shared: DataView,
  nowSeconds: number,
  ageSecondsMax: number,
): MacTableEntry[] {
  const entries: MacTableEntry[] = [];
  for (let set = 0; set < FDB_SET_COUNT; set++) {
    const at = SHARED_FDB + set * FDB_SET_SIZE;
    for (let way = 0; way < FDB_WAYS; way++) {
      // Most entries are free. The upper half of the key shows that, because it contains the port.
      if (shared.getUint32(at + way * 8 + 4, true) === 0) continue;
      const { isStatic, ...entry } = readKey(set, shared.getBigUint64(at + way * 8, true));
      const stamp = shared.getUint32(at + FDB_STAMPS + way * 4, true);
      const ageSeconds = isStatic ? 0 : Math.max(0, Math.floor(nowSeconds) - stamp);
      if (ageSeconds <= ageSecondsMax) entries.push({ ...entry, ageSeconds, isStatic });
    }
  }
  return entries;
}

const ADDRESS_BITS = 60;
const TAG_BITS = BigInt(FDB_TAG_BITS);
const MULTIPLIER = (BigInt(FDB_MULTIPLIER_HIGH) << 32n) | BigInt(FDB_MULTIPLIER_LOW);
const INVERSE = inverseOf(MULTIPLIER);

/** Newton's iteration. Each step doubles the number of correct bits. */
function inverseOf(odd: bigint): bigint {
  let inverse = odd; // correct in its lowest 3 bits
  for (let step = 0; step < 5; step++) inverse *= 2n - odd * inverse;
  return BigInt.asUintN(ADDRESS_BITS, inverse);
}

/**
 * The place of an address (VLAN << 48 | MAC) in the MAC table: its home set, and the tag in its
 * key.
 */
export function placeOf(address: bigint): { set: number; tag: bigint } {
  const hash = BigInt.asUintN(ADDRESS_BITS, address * MULTIPLIER);
  return { set: Number(hash >> TAG_BITS), tag: BigInt.asUintN(FDB_TAG_BITS, hash) };
}

type Key = Omit<MacTableEntry, 'ageSeconds'>;

function readKey(set: number, key: bigint): Key {
  const bits = (from: number, count: number) => BigInt.asUintN(count, key >> BigInt(from));
  const distance = Number(bits(FDB_DISTANCE_SHIFT, FDB_DISTANCE_BITS));
  const home = (set - distance + FDB_SET_COUNT) % FDB_SET_COUNT;
  const hash = (BigInt(home) << TAG_BITS) | bits(0, FDB_TAG_BITS);
  const address = BigInt.asUintN(ADDRESS_BITS, hash * INVERSE);
  const port = Number(bits(FDB_TAG_BITS, FDB_PORT_BITS)) - 1;
  const isStatic = bits(FDB_STATIC_BIT, 1) === 1n;
  return { mac: formatMac(address), vlan: Number(address >> 48n), port, isStatic };
}

/** A MAC and its VLAN as one number. */
export function addressNumber(mac: string, vlan: number): bigint {
  return (BigInt(vlan) << 48n) | macNumber(mac);
}

/** The 48-bit number that the firmware's little-endian load from a frame yields. */
export function macNumber(mac: string): bigint {
  return macBytes(mac).reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}

function formatMac(address: bigint): string {
  const bytes = Array.from({ length: 6 }, (_, index) =>
    Number((address >> BigInt(index * 8)) & 0xffn),
  );
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * Sets a port's own address (VLAN << 48 | MAC; 0: none). It is in the MAC table while the port
 * receives.
 */
export function writeOwnAddress(shared: SharedState, port: number, address: bigint): void {
  shared.view.setBigUint64(shared.portOffset(port) + PORT_MAC, address, true);
}
