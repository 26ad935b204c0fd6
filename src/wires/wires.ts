import { FaultInjector, type FaultSettings } from './fault-injector.ts';
import { LoopbackWire } from './loopback.ts';
import { type MessageSettings, MessageWire } from './message-wire.ts';
import { NullWire } from './null.ts';
import { type PacketRingSettings, PacketRingWire } from './packet-ring-wire.ts';
import type { PairMemory } from './port-memory.ts';
import { StreamWire } from './stream-wire.ts';
import { TapWire } from './tap-wire.ts';
import { Tracer } from './tracer.ts';
import type { Wire } from './wire.ts';
import { XdpWire, type XdpWireSettings } from './xdp-wire.ts';

/** What the control plane tells a processor about a wire. It opens and closes the descriptor. */
export type WireSettings = WireWrappers &
  (
    | { kind: 'loopback' | 'null' }
    | { kind: 'tap'; fd: number }
    /** `connection`: stays the same as long as the byte stream does. */
    | { kind: 'stream'; fd: number; connection: number }
    | MessageSettings
    | PacketRingSettings
    | XdpWireSettings
  );

/** Wrappers between a port and its wire. */
interface WireWrappers {
  faults?: FaultSettings | undefined;
  /** A pcapng file, open for writing. */
  traceFd?: number | undefined;
}

/** The tracer records what the switch sees: the injector is beyond it. */
export function createWire(settings: WireSettings, memory: PairMemory): Wire {
  const { faults, traceFd } = settings;
  const wire = createPlainWire(settings, memory);
  const faulty = faults === undefined ? wire : new FaultInjector(wire, faults, memory);
  return traceFd === undefined ? faulty : new Tracer(faulty, traceFd, memory);
}

function createPlainWire(settings: WireSettings, memory: PairMemory): Wire {
  switch (settings.kind) {
    case 'loopback':
      return new LoopbackWire(memory);
    case 'null':
      return new NullWire();
    case 'tap':
      return new TapWire(settings.fd, memory);
    case 'stream':
      return new StreamWire(settings.fd, settings.connection, memory);
    case 'message':
      return new MessageWire(settings, memory);
    case 'packet-ring':
      return new PacketRingWire(settings, memory);
    case 'xdp':
      return new XdpWire(settings, memory);
  }
}
