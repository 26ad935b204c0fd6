import { describe, expect, test } from 'vitest';
import { parseForwardTotals, parsePortStatistics } from './port-statistics.ts';

// Output of DPDK 22.11.
const shown = `show port stats all

  ######################## NIC statistics for port 0  ########################
  RX-packets: 40351008   RX-missed: 3          RX-bytes:  2582464512
  RX-errors: 2
  RX-nombuf:  1         
  TX-packets: 40351424   TX-errors: 4          TX-bytes:  2582491136

  Throughput (since last show)
  Rx-pps:     10008484          Rx-bps:   5124344304
  Tx-pps:     10008500          Tx-bps:   5124352472
  ############################################################################

  ######################## NIC statistics for port 1  ########################
  RX-packets: 40351168   RX-missed: 0          RX-bytes:  2582474752
  RX-errors: 0
  RX-nombuf:  0         
  TX-packets: 40351264   TX-errors: 0          TX-bytes:  2582480896

  Throughput (since last show)
  Rx-pps:     10008479          Rx-bps:   5124341720
  Tx-pps:     10008479          Tx-bps:   5124341720
  ############################################################################
`;

const stopped = `Telling cores to stop...
Waiting for lcores to finish...

  ---------------------- Forward statistics for port 0  ----------------------
  RX-packets: 44667616       RX-dropped: 0             RX-total: 44667616
  TX-packets: 44668032       TX-dropped: 0             TX-total: 44668032
  ----------------------------------------------------------------------------

  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++
  RX-packets: 89335392       RX-dropped: 0             RX-total: 89335392
  TX-packets: 89335904       TX-dropped: 7             TX-total: 89335911
  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++

Done.
`;

describe('parsePortStatistics', () => {
  test('parses each port, and adds up its losses', () => {
    expect(parsePortStatistics(shown)).toEqual([
      { port: 0, rxPackets: 40351008, txPackets: 40351424, rxPps: 10008484, failures: 10 },
      { port: 1, rxPackets: 40351168, txPackets: 40351264, rxPps: 10008479, failures: 0 },
    ]);
  });
  test('finds no port in other text', () => {
    expect(parsePortStatistics('Bad arguments\n')).toEqual([]);
  });
  test('rejects a truncated section', () => {
    expect(() => parsePortStatistics(shown.slice(0, 200))).toThrow('testpmd printed no TX-packets');
  });
});

describe('parseForwardTotals', () => {
  test('parses the sum of all ports, not the first port', () => {
    expect(parseForwardTotals(stopped)).toEqual({
      rxPackets: 89335392,
      txPackets: 89335904,
      txDropped: 7,
    });
  });
  test('rejects output without totals', () => {
    expect(() => parseForwardTotals('Packet forwarding not started\n')).toThrow(
      'printed no totals',
    );
  });
});
