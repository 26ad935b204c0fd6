// Server-sent events: what happens on the NIC, as it happens.

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { inBackground } from '../background.ts';
import type { Nic, NicEventName } from '../nic/types.ts';

/**
 * A reader that falls this far behind is disconnected, so that events do not pile up in the NIC.
 */
const BACKLOG_MAX = 1024;

/** An occasional line detects a dead reader, and shows the reader that the NIC is alive. */
const HEARTBEAT_MILLISECONDS = 15_000;

export const EVENT_NAMES: readonly NicEventName[] = [
  'connect',
  'ready',
  'reset',
  'disconnect',
  'fault',
  'quarantine',
  'quarantine-end',
  'link-up',
  'link-down',
  'uplink-up',
  'uplink-down',
  'uplink-held',
  'function',
  'config-applied',
  'config-refused',
  'change-overdue',
  'internal-error',
];

export function eventStream(c: Context, nic: Nic): Response {
  return streamSSE(c, async (stream) => {
    const backlog: { event: string; data: string }[] = [];
    let isOpen = true;
    let wake = (): void => {};
    const close = (): void => {
      isOpen = false;
      wake();
    };
    const listeners = EVENT_NAMES.map((name) => {
      const listener = (detail: object): void => {
        backlog.push({ event: name, data: JSON.stringify(detail) });
        if (backlog.length > BACKLOG_MAX) close();
        else wake();
      };
      nic.on(name, listener);
      return { name, listener };
    });
    stream.onAbort(close);
    const heartbeat = setInterval(
      () => inBackground('keep a stream of events alive', stream.write(': \n\n')),
      HEARTBEAT_MILLISECONDS,
    );
    heartbeat.unref();
    try {
      // The first bytes tell the reader that it misses nothing from here on.
      await stream.write(': listening\n\n');
      while (isOpen) {
        const next = backlog.shift();
        if (next !== undefined) await stream.writeSSE(next);
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      clearInterval(heartbeat);
      for (const { name, listener } of listeners) nic.off(name, listener);
    }
  });
}
