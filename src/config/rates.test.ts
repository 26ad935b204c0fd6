import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  packetRateText,
  parsePacketRate,
  parseRate,
  parseSize,
  rateText,
  valueText,
} from './rates.ts';

describe('a rate', () => {
  it.each([
    ['0', 0],
    ['none', 0],
    ['8000', 8000],
    ['8000bit', 8000],
    ['5Gbit', 5e9],
    ['5 gbit', 5e9],
    ['1.5M', 1.5e6],
    ['800k', 800e3],
    ['1Tbit', 1e12],
    ['64Kibit', 65536],
    ['1gibit', 2 ** 30],
    ['1kbps', 8000],
    ['2MiBps', 2 ** 24],
    ['1000bps', 8000],
  ])('%s is read as tc reads it', (text, bitsPerSecond) => {
    expect(parseRate(text)).toBe(bitsPerSecond);
  });

  it.each(['', 'fast', '5 Gb', '-1', '1e9', '5Gbit/s', '5ibit', '1,5M', '50%', 'None'])(
    '%s is refused',
    (text) => expect(parseRate(text)).toBeUndefined(),
  );

  it.each([
    [0, 'none'],
    [8000, '8kbit'],
    [1_500_000, '1500kbit'],
    [5e9, '5Gbit'],
    [1234567, '1234567bit'],
    [4e12, '4Tbit'],
  ])('%i is printed with the largest exact unit', (bitsPerSecond, text) => {
    expect(rateText(bitsPerSecond)).toBe(text);
  });
});

describe('a size', () => {
  it.each([
    ['1500', 1500],
    ['1514b', 1514],
    ['64kb', 65536],
    ['64K', 65536],
    ['2MB', 2 ** 21],
    ['2mib', 2 ** 21],
    ['1g', 2 ** 30],
    ['1kbit', 128],
    ['none', 0],
  ])('%s is read as tc reads it', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', '2tb', '8bit', 'big'])('%s is refused', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});

describe('a packet rate', () => {
  it.each([
    ['2500', 2500],
    ['10k', 10_000],
    ['1.2M', 1_200_000],
    ['none', 0],
  ])('%s is read', (text, packets) => expect(parsePacketRate(text)).toBe(packets));

  it.each(['', '1kbit', '5pps'])('%s is refused', (text) => {
    expect(parsePacketRate(text)).toBeUndefined();
  });
});

it('whatever is printed is read as the same number', () => {
  const amounts = fc.oneof(
    fc.nat(),
    fc.maxSafeNat(),
    fc.tuple(fc.nat(999), fc.nat(4)).map(([digits, power]) => digits * 1000 ** power),
    fc.tuple(fc.nat(1023), fc.nat(3)).map(([digits, power]) => digits * 1024 ** power),
  );
  fc.assert(
    fc.property(amounts, (amount) => {
      expect(parseRate(rateText(amount))).toBe(amount);
      expect(parseSize(valueText('txBurst', amount))).toBe(amount);
      expect(parsePacketRate(packetRateText(amount))).toBe(amount);
    }),
  );
});

it('values of other keys are printed as they are', () => {
  expect(valueText('mtu', 1000)).toBe('1000');
  expect(valueText('capacity', 'auto')).toBe('auto');
  expect(valueText('txMax', 1000)).toBe('1kbit');
});
