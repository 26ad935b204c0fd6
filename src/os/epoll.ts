import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

// struct epoll_event { u32 events; u64 data }: packed on x86-64, and on no other architecture.
export const EPOLL_EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
export const EPOLL_EVENT_DATA = process.arch === 'x64' ? 4 : 8;

/** Registers, changes or removes a descriptor; its events carry the descriptor as their data. */
export function controlEpoll(epoll: number, operation: number, fd: number, events: number): void {
  scratch.view.setUint32(0, events, true);
  scratch.view.setBigUint64(EPOLL_EVENT_DATA, BigInt(fd), true);
  checked('epoll_ctl', c.epollControl(epoll, operation, fd, scratch.address));
}
