import { openSync, writeSync } from 'node:fs';
import { operatorError } from '../errors.ts';

// pcapng: a section header, one interface, then a block for each frame (tracer.ts).
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const LINK_TYPE_ETHERNET = 1;
const OPTION_NAME = 2;

/** Starts a new file; returns its descriptor. */
export function openTrace(file: string, uplink: string): number {
  try {
    const fd = openSync(file, 'w'); // queues share its offset, and write each block with one call
    writeSync(fd, sectionHeader());
    writeSync(fd, interfaceDescription(uplink));
    return fd;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw operatorError('HEDDLE_UPLINK_TRACE', { reason, file }, { cause: error });
  }
}

function sectionHeader(): Buffer {
  const block = Buffer.alloc(28);
  block.writeUInt32LE(SECTION_HEADER, 0);
  block.writeUInt32LE(block.length, 4);
  block.writeUInt32LE(BYTE_ORDER, 8);
  block.writeUInt16LE(1, 12);
  block.writeBigInt64LE(-1n, 16); // the section's length: unknown
  block.writeUInt32LE(block.length, 24);
  return block;
}

function interfaceDescription(name: string): Buffer {
  const text = Buffer.from(name);
  const room = (text.length + 3) & ~3;
  const block = Buffer.alloc(28 + room);
  block.writeUInt32LE(INTERFACE_DESCRIPTION, 0);
  block.writeUInt32LE(block.length, 4);
  block.writeUInt16LE(LINK_TYPE_ETHERNET, 8);
  block.writeUInt16LE(OPTION_NAME, 16);
  block.writeUInt16LE(text.length, 18);
  text.copy(block, 20);
  // Options end with four zero bytes.
  block.writeUInt32LE(block.length, block.length - 4);
  return block;
}
