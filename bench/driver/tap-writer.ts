// A process that writes super-frames to a TAP, as QEMU's TAP back end does with those of a guest.
//
//   node tap-writer.js TAP        a line with a number: write for that many seconds; answers `done`

import { createInterface } from 'node:readline';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { c } from '../../src/os/libc.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { openTapQueue } from '../../src/os/tap.ts';
import { macText } from '../../src/testing/frames.ts';
import { macs } from './addresses.ts';
import { microseconds } from './clock.ts';
import { createSuperFrame } from './super-frame.ts';

/** As many as the driver's transmit ring has. */
const bufferCount = 64;
const burst = 16;

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error('the name of the TAP is missing');
const queue = openTapQueue(name, NET_HEADER_SIZE, false);
if (typeof queue === 'number') throw new Error(`cannot open the TAP ${name}: errno ${queue}`);

const { mac, peerMac } = macs(0);
const frame = createSuperFrame(macText(peerMac), macText(mac));
const stride = Math.ceil(frame.length / 64) * 64;
const memory = new LinearMemory(stride * bufferCount);
const bytes = new Uint8Array(memory.buffer);
for (let at = 0; at < bufferCount; at += 1) bytes.set(frame, at * stride);

function write(fd: number, seconds: number): void {
  const end = microseconds() + seconds * 1e6;
  for (let next = 0; microseconds() < end; next = (next + burst) % bufferCount) {
    for (let at = next; at < next + burst; at += 1) {
      c.write(fd, memory.base + at * stride, frame.length);
    }
  }
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  write(queue.fd, Number(line));
  process.stdout.write('done\n');
}
