// Rates and sizes in the units of tc(8), parsed from what a user writes and printed for people.
// 0 means that there is none, as in devlink-rate(8).

const NONE = 'none';

/** Bit/s: "5Gbit", "1.5m", "64Kibit", "200kbps" (bytes, as in tc), "none". */
export function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) *(?:([kmgt])(i?))?(bit|bps)?$/i.exec(text.trim());
  if (match === null) return text === NONE ? 0 : undefined;
  const [, digits, prefix, iec, unit] = match;
  const bits = unit?.toLowerCase() === 'bps' ? 8 : 1;
  return Number(digits) * power(iec ? 1024 : 1000, prefix) * bits;
}

/** Bytes: "2MB", "64kb", "1500", "1mbit", "none". As in tc, all prefixes of sizes are binary. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) *(?:([kmg])(?:i?b|(bit))?|b)?$/i.exec(text.trim());
  if (match === null) return text === NONE ? 0 : undefined;
  const [, digits, prefix, bit] = match;
  return (Number(digits) * power(1024, prefix)) / (bit ? 8 : 1);
}

/** Packets/s: "1M", "10k", "2500", "none". */
export function parsePacketRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) *([kmg])?$/i.exec(text.trim());
  if (match === null) return text === NONE ? 0 : undefined;
  const [, digits, prefix] = match;
  return Number(digits) * power(1000, prefix);
}

/** With the largest unit of which it is a whole number. */
export function rateText(bitsPerSecond: number): string {
  return withUnit(bitsPerSecond, 1000, ['bit', 'kbit', 'Mbit', 'Gbit', 'Tbit']);
}

function sizeText(bytes: number): string {
  return withUnit(bytes, 1024, ['B', 'KB', 'MB', 'GB']);
}

export function packetRateText(packetsPerSecond: number): string {
  return withUnit(packetsPerSecond, 1000, ['', 'k', 'M', 'G']);
}

const TEXTS: Readonly<Record<string, (value: number) => string>> = {
  capacity: rateText,
  speed: rateText,
  txShare: rateText,
  txMax: rateText,
  txBurst: sizeText,
  txMaxPackets: packetRateText,
  rxMax: rateText,
  rxMaxPackets: packetRateText,
};

/** The value of a key of the configuration, for people. */
export function valueText(key: string, value: unknown): string {
  const text = typeof value === 'number' ? TEXTS[key]?.(value) : undefined;
  return text ?? `${value}`;
}

function power(base: number, prefix = ''): number {
  return base ** ' kmgt'.indexOf(prefix.toLowerCase() || ' ');
}

function withUnit(value: number, base: number, units: readonly string[]): string {
  if (value === 0) return NONE;
  let rest = value;
  let unit = 0;
  while (unit < units.length - 1 && rest % base === 0) {
    rest /= base;
    unit++;
  }
  return `${rest}${units[unit]}`;
}
