import { LoopbackWire } from './loopback.ts';
import { NullWire } from './null.ts';
import type { PairMemory } from './port-memory.ts';
import { TapWire } from './tap-wire.ts';
import type { Wire } from './wire.ts';

/** What the control plane tells a processor about a wire: it opened the descriptor, and closes it. */
export type WireSettings = { kind: 'loopback' } | { kind: 'null' } | { kind: 'tap'; fd: number };

export function createWire(settings: WireSettings, memory: PairMemory): Wire {
  switch (settings.kind) {
    case 'loopback':
      return new LoopbackWire(memory);
    case 'null':
      return new NullWire();
    case 'tap':
      return new TapWire(settings.fd, memory);
  }
}
