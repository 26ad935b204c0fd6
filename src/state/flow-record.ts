import {
  FLOW_HASH_TYPES,
  FLOW_NIBBLE_SIZE,
  FLOW_NIBBLES,
  FLOW_QUEUES,
  FLOW_RECORD_OF_NIC,
  FLOW_RECORD_SIZE,
  FLOW_TABLE_MASK,
  FLOW_TOEPLITZ,
  FLOW_UNCLASSIFIED,
} from '../../layout/port.ts';
import { HASH_TYPES } from '../../layout/virtio.ts';

/** How received flows are hashed. */
export interface FlowHashing {
  /** HASH_TYPE_ bits. */
  types: number;
  /** RSS_KEY_SIZE bytes. */
  key: Uint8Array;
}

/** Maps the lower bits of a flow's hash to the queue pair that receives it. */
export interface SteeringTable {
  pairs: readonly number[];
  /** Queue pair for frames without a hash. */
  unclassified: number;
}

/** How a port's received flows are hashed and steered. */
export interface FlowSettings {
  hashing: FlowHashing | null;
  /** RSS table; null: automatic steering over the queue pairs in use. */
  table: SteeringTable | null;
}

/**
 * Writes how a VF's received flows are hashed and steered. Processors may read the record
 * meanwhile. For that moment, a flow may go to another queue of the same guest.
 */
export function writeFlowRecord(view: DataView, record: number, settings: FlowSettings): void {
  const { hashing, table } = settings;
  view.setUint32(record + FLOW_HASH_TYPES, 0, true);
  if (table !== null) {
    view.setUint32(record + FLOW_TABLE_MASK, table.pairs.length - 1, true);
    view.setUint32(record + FLOW_UNCLASSIFIED, table.unclassified * 2, true);
    table.pairs.forEach((pair, index) => {
      view.setUint8(record + FLOW_QUEUES + index, pair * 2);
    });
  }
  if (hashing === null) return;
  writeToeplitz(view, record + FLOW_TOEPLITZ, hashing.key);
  view.setUint32(record + FLOW_HASH_TYPES, hashing.types, true);
}

/** The default key of drivers and hardware. */
const RSS_KEY = Buffer.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
  'hex',
);

/**
 * Writes how the NIC spreads flows over the queues of guests that have set no table. `flows`:
 * offset of the flow records. Call it before the first processor runs.
 */
export function writeFlowRecordOfNic(view: DataView, flows: number): void {
  const hashing = { types: HASH_TYPES, key: RSS_KEY };
  writeFlowRecord(view, flows + FLOW_RECORD_OF_NIC * FLOW_RECORD_SIZE, { hashing, table: null });
}

/**
 * For each half byte of the input and each of its values: the XOR of the key's windows at the bits
 * that are set. With this table, the firmware computes the hash with one lookup per half byte.
 */
function writeToeplitz(view: DataView, at: number, key: Uint8Array): void {
  const bits = BigInt(`0x${Buffer.from(key).toString('hex')}`);
  const windowFrom = (start: number) =>
    Number((bits >> BigInt(key.length * 8 - 32 - start)) & 0xffff_ffffn);
  for (let nibble = 0; nibble < FLOW_NIBBLES; nibble++) {
    const windows = [0, 1, 2, 3].map((bit) => windowFrom(nibble * 4 + bit));
    for (let value = 0; value < 16; value++) {
      const hash = windows.reduce(
        (sum, window, bit) => (value & (8 >> bit) ? sum ^ window : sum),
        0,
      );
      view.setUint32(at + nibble * FLOW_NIBBLE_SIZE + value * 4, hash, true);
    }
  }
}
