import { describe, expect, test } from 'vitest';
import { parseOptions, suiteNames } from './options.ts';

const parse = (...args: string[]) => parseOptions(args, '/report');

describe('parseOptions', () => {
  test('the default is everything, into the report of the checkout', () => {
    expect(parse()).toMatchObject({
      profile: { name: 'full', rounds: 5 },
      suites: suiteNames,
      peers: [],
      before: null,
      reportDirectory: '/report',
      jsonFile: null,
      mustMeet: false,
    });
  });
  test('smoke and --quick are profiles, and do not replace the report', () => {
    expect(parse('smoke')).toMatchObject({
      profile: { name: 'smoke', forward: { frameSizes: [64, 1500] } },
      suites: ['forward', 'idle'],
      reportDirectory: null,
    });
    const quick = parse('--quick');
    expect(quick).toMatchObject({ profile: { name: 'quick' }, reportDirectory: null });
    expect(quick.suites).toEqual(suiteNames);
  });
  test('sharing is a profile with a suite of its own', () => {
    expect(parse('sharing', '--rounds', '2')).toMatchObject({
      profile: { name: 'sharing', sharing: { rounds: 2, costRounds: 2 } },
      suites: ['sharing'],
      reportDirectory: null,
    });
  });
  test('a partial run does not replace the report unless --report says so', () => {
    expect(parse('--suite', 'idle').reportDirectory).toBeNull();
    expect(parse('--peer', 'heddle').reportDirectory).toBeNull();
    expect(parse('--before', '../old').reportDirectory).toBeNull();
    expect(parse('--peer', 'heddle', '--report', 'here').reportDirectory).toBe('here');
  });
  test('options can be repeated', () => {
    const args = ['--peer', 'heddle', '--peer', 'ovs-dpdk', '--size', '256', '--suite', 'idle'];
    const { peers, profile, suites } = parse(...args);
    expect(peers).toEqual(['heddle', 'ovs-dpdk']);
    expect(profile.forward.frameSizes).toEqual([256]);
    expect(suites).toEqual(['idle']);
  });
  test('--rounds and --seconds change the profile', () => {
    const { profile } = parse('--quick', '--rounds', '3', '--seconds', '1.5');
    expect(profile).toMatchObject({ rounds: 3, windowSeconds: 1.5, vm: { rounds: 3 } });
  });
  test.each([
    [['full'], 'Unknown profile full'],
    [['sharing', 'smoke'], 'Cannot run sharing and smoke at once'],
    [['smoke', '--quick'], 'Cannot run smoke and --quick at once'],
    [['--suite', 'speed'], 'Unknown suite speed: allowed are forward, open-loop'],
    [['--rounds', '0'], 'Cannot use --rounds 0'],
    [['--rounds', '2.5'], 'Cannot use --rounds 2.5'],
    [['--seconds', 'long'], 'Cannot use --seconds long'],
    [['--size', '9000'], 'Cannot use --size 9000'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
