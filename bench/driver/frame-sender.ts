// A process that sends frames out of an interface, like the far end of a wire.
//
//   node frame-sender.js INTERFACE BYTES     frame length; 0: super-frames of TCP
//   a line with a number sends that many; answers `done MICROSECONDS`

import { createInterface } from 'node:readline';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { findNetDevice } from '../../src/os/net-device.ts';
import { openPacketSocket, PACKET_HEADER_SIZE } from '../../src/os/packet-socket.ts';
import { macText } from '../../src/testing/frames.ts';
import { MessageWire } from '../../src/wires/message-wire.ts';
import { BUFFERS, PAIR_SIZE, pairMemory } from '../../src/wires/port-memory.ts';
import { FrameList } from '../../src/wires/wire.ts';
import { macs } from './addresses.ts';
import { microseconds } from './clock.ts';
import { createSuperFrame } from './super-frame.ts';

const burst = 32;
const etherType = 0x88b5;

const [name = '', size = ''] = process.argv.slice(2);
const device = findNetDevice(name);
if (device === null) throw new Error(`no interface ${name}`);
const fd = openPacketSocket(device.index, null);
if (fd < 0) throw new Error(`cannot open a packet socket: errno ${-fd}`);

const linear = new LinearMemory(PAIR_SIZE);
const memory = pairMemory(linear.buffer, linear.base, { start: 0, sizeBytes: PAIR_SIZE }, 0);
const wire = new MessageWire({ fd, headerSize: PACKET_HEADER_SIZE }, memory);
const frame = createFrame(Number(size));
const stride = Math.ceil(frame.length / 64) * 64;
const frames = new FrameList();
for (let i = 0; i < burst; i += 1) {
  memory.bytes.set(frame, BUFFERS + i * stride);
  frames.add(BUFFERS + i * stride, frame.length, 0);
}

/** A frame to the first port of the driver, after its virtio-net header. */
function createFrame(length: number): Uint8Array {
  const { mac, peerMac } = macs(0);
  if (length === 0) return createSuperFrame(macText(mac), macText(peerMac));
  const bytes = new Uint8Array(NET_HEADER_SIZE + length);
  bytes.set(mac, NET_HEADER_SIZE);
  bytes.set(peerMac, NET_HEADER_SIZE + 6);
  new DataView(bytes.buffer).setUint16(NET_HEADER_SIZE + 12, etherType);
  return bytes;
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const count = Number(line);
  const started = microseconds();
  for (let sent = 0; sent < count; sent += frames.count) {
    frames.count = Math.min(burst, count - sent);
    wire.send(frames);
  }
  process.stdout.write(`done ${microseconds() - started}\n`);
}
