import { describe, expect, it } from 'vitest';
import type { Message } from './connection.ts';
import { FrontendRequest, ProtocolFeature, type RequestName } from './message.ts';
import { OFFERED_PROTOCOL_FEATURES } from './protocol-features.ts';
import { Refusal } from './refusal.ts';
import { admit, REQUESTS } from './requests.ts';

/** The protocol features of all devices and those of a network device. */
const ALL = OFFERED_PROTOCOL_FEATURES | (1n << BigInt(ProtocolFeature.MTU));

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

  it('is admitted with the right size and descriptors', () => {
    expect(admit(name, message(name, request.size), ALL)).toBe(request);
    expect(admit(name, message(name, request.size, request.fdsMax ?? 0), ALL)).toBe(request);
  });

  it('is refused with one byte too few or, unless its size varies, one too many', () => {
    if (request.size > 0) {
      expect(() => admit(name, message(name, request.size - 1), ALL)).toThrow(Refusal);
    }
    const longer = () => admit(name, message(name, request.size + 1), ALL);
    if (request.isSizeMinimum === true) expect(longer()).toBe(request);
    else expect(longer).toThrow(Refusal);
  });

  it('is refused with one descriptor too many', () => {
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

describe('a request that was not offered', () => {
  it.each(unknown)('%s is refused', (name) => {
    expect(() => admit(name, message(name, 8), ALL)).toThrow(`${name} was not offered`);
  });
});
