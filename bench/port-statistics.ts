// Parses the numbers that testpmd prints.

export interface PortStatistics {
  readonly port: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Frames per second since the previous `show port stats`, by testpmd's own clock. */
  readonly rxPps: number;
  /** Frames that the port itself counted as lost: missed, errors, no buffer. */
  readonly failures: number;
}

/** Parses the output of `show port stats all`. */
export function parsePortStatistics(text: string): PortStatistics[] {
  const [, ...sections] = text.split(/NIC statistics for port /);
  return sections.map((section) => ({
    port: Number.parseInt(section, 10),
    rxPackets: readNumber(section, 'RX-packets'),
    txPackets: readNumber(section, 'TX-packets'),
    rxPps: readNumber(section, 'Rx-pps'),
    failures:
      readNumber(section, 'RX-missed') +
      readNumber(section, 'RX-errors') +
      readNumber(section, 'RX-nombuf') +
      readNumber(section, 'TX-errors'),
  }));
}

export interface ForwardTotals {
  readonly rxPackets: number;
  readonly txPackets: number;
  /** Frames received but not accepted by the other port's ring. */
  readonly txDropped: number;
}

/** Parses the accumulated totals that `stop` prints. */
export function parseForwardTotals(text: string): ForwardTotals {
  const at = text.indexOf('Accumulated forward statistics');
  if (at < 0) throw new Error(`testpmd printed no totals when it stopped:\n${text}`);
  const section = text.slice(at);
  return {
    rxPackets: readNumber(section, 'RX-packets'),
    txPackets: readNumber(section, 'TX-packets'),
    txDropped: readNumber(section, 'TX-dropped'),
  };
}

function readNumber(section: string, name: string): number {
  const found = new RegExp(`${name}:\\s*(\\d+)`).exec(section);
  if (found === null) throw new Error(`testpmd printed no ${name}:\n${section}`);
  return Number(found[1]);
}
