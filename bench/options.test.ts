import { describe, expect, test } from 'vitest';
import { parseOptions } from './options.ts';

describe('parseOptions', () => {
  test('nothing said is the smoke profile', () => {
    const said = parseOptions(['smoke']);
    expect(said).toEqual(parseOptions([]));
    expect(said).toMatchObject({
      suites: ['forward', 'idle'],
      peers: [],
      frameSizes: [64, 1500],
      rounds: 5,
      windowSeconds: 2,
      jsonFile: null,
      mustMeet: false,
    });
  });
  test('repeatable options collect', () => {
    const args = ['--peer', 'heddle', '--peer', 'ovs-dpdk', '--size', '256', '--suite', 'idle'];
    const { peers, frameSizes, suites } = parseOptions(args);
    expect({ peers, frameSizes, suites }).toEqual({
      peers: ['heddle', 'ovs-dpdk'],
      frameSizes: [256],
      suites: ['idle'],
    });
  });
  test.each([
    [['full'], 'Unknown profile full'],
    [['--suite', 'latency'], 'Unknown suite latency: allowed are forward, idle'],
    [['--rounds', '0'], 'Cannot use --rounds 0'],
    [['--rounds', '2.5'], 'Cannot use --rounds 2.5'],
    [['--seconds', 'long'], 'Cannot use --seconds long'],
    [['--size', '9000'], 'Cannot use --size 9000'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
