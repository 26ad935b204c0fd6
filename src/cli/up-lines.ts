// What `heddle up` prints: how to attach, and one line per event; with --json, one object per line.

import { qemuArguments, shellText } from '../api/attach.ts';
import { EVENT_NAMES } from '../api/events.ts';
import { availableAccelerator, installedQemuVersion } from '../api/qemu-version.ts';
import type { NicConfig } from '../config/types.ts';
import type { Nic, NicEventName, NicEvents } from '../nic/types.ts';

/** With more VFs than this, `heddle qemu` is more useful than a screenful at the start. */
const ATTACH_SHOWN_MAX = 4;

export type Say = (text: string) => void;

export function droppedText(lines: number, isJson: boolean): string {
  if (isJson) return JSON.stringify({ event: 'lines-dropped', lines });
  return `(${lines} line${lines === 1 ? ' was' : 's were'} dropped here because nobody read them)`;
}

export function announce(config: NicConfig, control: string, isJson: boolean, say: Say): void {
  if (isJson) {
    const vfs = config.vfs.map(({ name, socket, mode, mac }) => ({ name, socket, mode, mac }));
    say(JSON.stringify({ event: 'ready', name: config.name, control, vfs }));
    return;
  }
  const { vfs } = config;
  say(`${config.name}: control socket ${control}`);
  if (vfs.length > ATTACH_SHOWN_MAX) say('to attach a VM, run: heddle qemu VF');
  for (const vf of vfs) {
    say(`\n${vf.name}  ${vf.mac}  ${vf.socket}`);
    if (vfs.length > ATTACH_SHOWN_MAX) continue;
    const accelerator = availableAccelerator();
    const words = qemuArguments(vf, { qemuVersion: installedQemuVersion(), accelerator });
    say(shellText(['qemu-system-x86_64', ...words]).replace(/^/gm, '  '));
  }
  say('\nready');
}

export function sayEvents(nic: Nic, isJson: boolean, say: Say): void {
  for (const name of EVENT_NAMES) {
    nic.on(name, (event) =>
      say(isJson ? JSON.stringify({ event: name, ...event }) : eventText(name, event)),
    );
  }
}

function eventText(name: NicEventName, event: NicEvents[NicEventName]): string {
  const time = new Date().toTimeString().slice(0, 8);
  const queue = 'queue' in event ? ` queue ${event.queue}` : '';
  const reason = 'reason' in event ? `: ${event.reason}` : '';
  const changes = 'changes' in event ? `: ${event.changes.join(', ') || 'nothing to change'}` : '';
  if ('function' in event) return `${time}  ${event.function}${queue}  ${event.what}${reason}`;
  const who = 'vf' in event ? event.vf : 'uplink' in event ? event.uplink : event.nic;
  return `${time}  ${who}${queue}  ${name}${reason}${changes}`;
}
