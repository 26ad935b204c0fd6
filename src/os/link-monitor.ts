// Reports when any network interface of this machine appears, disappears or changes: rtnetlink(7),
// RTMGRP_LINK.
import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from './constants.ts';
import { c } from './libc.ts';
import type { Poller } from './poller.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;
const MESSAGE_SIZE_MAX = 32768;

/**
 * The messages are not parsed: listeners check the interfaces they care about, so that a lost
 * message (ENOBUFS) costs nothing.
 */
export class LinkMonitor {
  readonly #fd: number;
  readonly #poller: Poller;

  constructor(poller: Poller, onChange: () => void) {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = checked('socket', c.socket(AF_NETLINK, type, NETLINK_ROUTE));
    this.#poller = poller;
    // struct sockaddr_nl: family, pad, port, groups.
    scratch.view.setUint32(0, AF_NETLINK, true);
    scratch.view.setUint32(4, 0, true);
    scratch.view.setUint32(8, RTMGRP_LINK, true);
    try {
      checked('bind', c.bind(this.#fd, scratch.address, 12));
      poller.add(this.#fd, () => {
        this.#drain();
        onChange();
      });
    } catch (error) {
      c.close(this.#fd);
      throw error;
    }
  }

  close(): void {
    this.#poller.remove(this.#fd);
    c.close(this.#fd);
  }

  #drain(): void {
    // Bounded, since a machine may never be quiet; level-triggered, so that the rest is reported
    // again.
    for (let i = 0; i < 64; i++) {
      if (c.recv(this.#fd, scratch.address, MESSAGE_SIZE_MAX, MSG_DONTWAIT) <= 0) return;
    }
  }
}
