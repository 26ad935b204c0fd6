import { beforeAll, beforeEach, expect, test } from 'vitest';
import { enterNamespace, ip, namespaceMissing } from '../../test/support/namespace.ts';
import { c } from './libc.ts';
import { findNetDevice } from './net-device.ts';
import {
  addReceiveRing,
  openPacketSocket,
  PACKET_HEADER_SIZE,
  sendBufferBytes,
  takeDropCount,
  unsentBytes,
} from './packet-socket.ts';
import { scratch } from './scratch.ts';

const SLOTS = 32;
const FRAME_SIZE = 60;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(({ skip }) => {
  if (namespaceMissing !== undefined) skip(namespaceMissing);
});

/** Sockets on both ends of a veth. */
function openPair(): [near: number, far: number] {
  ip('link add near type veth peer name far');
  const fds = ['near', 'far'].map((name) => {
    ip(`link set ${name} up`);
    return openPacketSocket(findNetDevice(name)?.index ?? 0, null);
  });
  return fds as [number, number];
}

/** A broadcast frame of zeros. */
function send(fd: number): number {
  scratch.bytes.fill(0, 0, PACKET_HEADER_SIZE + FRAME_SIZE);
  scratch.bytes.fill(0xff, PACKET_HEADER_SIZE, PACKET_HEADER_SIZE + 6);
  return c.write(fd, scratch.address, PACKET_HEADER_SIZE + FRAME_SIZE);
}

test('frames without room in a ring are counted once', () => {
  const [near, far] = openPair();
  expect(addReceiveRing(near, { blockSize: 65_536, blockCount: 1, slotSize: 2048 })).toBe(0);
  for (let i = 0; i < SLOTS + 7; i++) expect(send(far)).toBe(PACKET_HEADER_SIZE + FRAME_SIZE);
  expect(takeDropCount(near)).toBe(7);
  expect(takeDropCount(near)).toBe(0);
  for (const fd of [near, far]) c.close(fd);
  ip('link delete near');
});

test('a send buffer reports its contents, and that it is empty once everything is sent', () => {
  const [near, far] = openPair();
  // As root, twice what was requested: the kernel counts its overhead too.
  expect(sendBufferBytes(near)).toBe(2 << 20);
  expect(send(near)).toBeGreaterThan(0);
  expect(unsentBytes(near)).toBeLessThan(sendBufferBytes(near));
  c.close(far);
  ip('link delete near');
  expect(unsentBytes(near)).toBe(0);
  c.close(near);
});
