import { describe, expect, it } from 'vitest';
import type { Message } from './connection.ts';
import {
  featureNames,
  isAcceptable,
  OFFERED_PROTOCOL_FEATURES,
  offeredFeatures,
} from './features.ts';
import { FrontendRequest, type RequestName } from './message.ts';
import { Refusal } from './refusal.ts';
import { admit, REQUESTS } from './requests.ts';

const ALL = OFFERED_PROTOCOL_FEATURES;

function message(name: RequestName, size: number, fdCount = 0): Message {
  return {
    header: { request: FrontendRequest[name], flags: 1, size },
    payload: new Uint8Array(size),
    fds: new Array(fdCount).fill(-1),
  };
}

const known = Object.keys(REQUESTS) as RequestName[];
const unknown = (Object.keys(FrontendRequest) as RequestName[]).filter(
  (name) => !known.includes(name),
);

describe.each(known)('%s', (name) => {
  const request = REQUESTS[name]!;

  it('is admitted as it should be', () => {
    expect(admit(name, message(name, request.size), ALL)).toBe(request);
    expect(admit(name, message(name, request.size, request.fdsMax ?? 0), ALL)).toBe(request);
  });

  it('is refused with a byte too few or, unless its size varies, too many', () => {
    if (request.size > 0) {
      expect(() => admit(name, message(name, request.size - 1), ALL)).toThrow(Refusal);
    }
    const longer = () => admit(name, message(name, request.size + 1), ALL);
    if (request.isSizeMinimum === true) expect(longer()).toBe(request);
    else expect(longer).toThrow(Refusal);
  });

  it('is refused with a descriptor too many', () => {
    const tooMany = message(name, request.size, (request.fdsMax ?? 0) + 1);
    expect(() => admit(name, tooMany, ALL)).toThrow(/descriptors, not/);
  });

  it('is refused without the protocol feature it needs', () => {
    const admitted = () => admit(name, message(name, request.size), 0n);
    if (request.needs === undefined) expect(admitted()).toBe(request);
    else expect(admitted).toThrow('needs a protocol feature that was not negotiated');
  });

  it('needs only features that are offered', () => {
    if (request.needs !== undefined) expect((ALL >> BigInt(request.needs)) & 1n).toBe(1n);
  });
});

describe('what was not offered', () => {
  it.each(unknown)('%s is refused', (name) => {
    expect(() => admit(name, message(name, 8), ALL)).toThrow(`${name} was not offered`);
  });
});

describe('features', () => {
  const offered = offeredFeatures();

  it('are acceptable as they were offered, or fewer', () => {
    expect(isAcceptable(offered, offered)).toBe(true);
    expect(isAcceptable(0n, offered)).toBe(true);
  });

  it('are not acceptable with any bit more, but for those of the control queue', () => {
    const extra: number[] = [];
    for (let bit = 0; bit < 64; bit++) {
      const isOffered = ((offered >> BigInt(bit)) & 1n) === 1n;
      const isTaken = isAcceptable(1n << BigInt(bit), offered);
      if (isOffered) expect(isTaken, `bit ${bit}`).toBe(true);
      else if (isTaken) extra.push(bit);
    }
    expect(featureNames(extra.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n))).toEqual(
      extra.length === 0 ? [] : expect.arrayContaining(['CTRL_VQ']),
    );
  });

  it('that a VF has switched off are neither offered nor acceptable', () => {
    const fewer = offeredFeatures({ disabledFeatures: ['MRG_RXBUF'] });
    expect(offered & ~fewer).toBe(1n << 15n);
    expect(isAcceptable(1n << 15n, fewer)).toBe(false);
  });

  it('have the names that users see', () => {
    expect(featureNames((1n << 32n) | (1n << 15n))).toEqual(['MRG_RXBUF', 'VERSION_1']);
    const count = [...offered.toString(2)].filter((digit) => digit === '1').length;
    expect(featureNames(offered).length, 'every offered bit has a name').toBe(count);
  });
});
