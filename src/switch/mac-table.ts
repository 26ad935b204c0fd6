import { SHARED_FDB } from '../../layout/memory.ts';
import {
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_STAMPS,
  FDB_STATIC,
  FDB_WAYS,
} from '../../layout/switch.ts';

export interface MacTableEntry {
  mac: string;
  /** VF number. */
  port: number;
  ageSeconds: number;
  isStatic: boolean;
}

/** The MAC table as it stands in the shared state, without what has aged. */
export function readMacTable(
  shared: DataView,
  nowSeconds: number,
  ageSecondsMax: number,
): MacTableEntry[] {
  const entries: MacTableEntry[] = [];
  for (let set = 0; set < FDB_SET_COUNT; set++) {
    const at = SHARED_FDB + set * FDB_SET_SIZE;
    for (let way = 0; way < FDB_WAYS; way++) {
      const key = shared.getBigUint64(at + way * 8, true);
      if (key === 0n) continue;
      const stamp = shared.getUint32(at + FDB_STAMPS + way * 4, true);
      const isStatic = stamp === FDB_STATIC;
      const ageSeconds = isStatic ? 0 : Math.max(0, Math.floor(nowSeconds) - stamp);
      if (ageSeconds > ageSecondsMax) continue;
      entries.push({ mac: formatMac(key), port: Number(key >> 48n) - 1, ageSeconds, isStatic });
    }
  }
  return entries;
}

/** The 48-bit little-endian number that the firmware loads from a frame. */
export function macNumber(mac: string): bigint {
  return macBytes(mac).reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}

function formatMac(key: bigint): string {
  const bytes = Array.from({ length: 6 }, (_, index) => Number((key >> BigInt(index * 8)) & 0xffn));
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
