import { expect, it } from 'vitest';
import { descriptorsIn, replaceDescriptors } from './saved.ts';

const STATE = {
  fd: 7,
  size: 7,
  kickFd: -1,
  fds: [9, 8],
  callFds: [8],
  list: [{ pin: { fd: 7 }, at: 5n }, null],
  bytes: Uint8Array.of(1, 2),
};

it('lists each descriptor of a state once', () => {
  expect(descriptorsIn(STATE)).toEqual([7, 8, 9]);
});

it('replaces descriptors everywhere, and changes nothing else', () => {
  const moved = replaceDescriptors(STATE, (fd) => fd + 100);
  expect(moved).toMatchObject({ fd: 107, size: 7, kickFd: -1, fds: [109, 108], callFds: [108] });
  expect(moved.list).toEqual([{ pin: { fd: 107 }, at: 5n }, null]);
  expect(moved.bytes).toEqual(STATE.bytes);
  expect(moved.bytes).not.toBe(STATE.bytes);
  expect(replaceDescriptors(moved, (fd) => fd - 100)).toEqual(STATE);
});
