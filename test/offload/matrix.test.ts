import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BROADCAST } from '../../src/testing/frames.ts';
import { arrivalProblem } from './expectations.ts';
import {
  FORMATS,
  featuresOf,
  guestOptions,
  type Party,
  partyName,
  SETS,
  senderOptions,
  shots,
} from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';

const PARTIES: readonly Party[] = FORMATS.flatMap((format) =>
  SETS.flatMap((offloads) =>
    [false, true].map((isMergeable) => ({ offloads, isMergeable, format })),
  ),
);
const SENDERS = PARTIES;
const RECEIVERS = PARTIES;

// One sender and every kind of receiver on one wire: each shot goes to each receiver, then to all.
for (const sender of SENDERS) {
  describe(`a guest with offloads ${partyName(sender)} sends to every kind of guest`, () => {
    let wire: OffloadWire;

    beforeAll(() => {
      const guests = [senderOptions(sender), ...RECEIVERS.map(guestOptions)];
      wire = new OffloadWire(guests, { slotCount: 256 });
      wire.postAll();
    });
    afterAll(() => wire.close());

    it('frame by frame', () => {
      let count = 0;
      RECEIVERS.forEach((party, index) => {
        const to = index + 1;
        const features = new Set(featuresOf(party));
        for (const { name, made } of shots(sender.offloads, pairTo(to))) {
          wire.sendPacket(0, made);
          wire.run();
          const problem = arrivalProblem(made, features, wire.arrivals(to));
          expect(problem, `${name} to ${partyName(party)}`).toBe('');
          count += 1;
        }
      });
      checkQuiet();
      expect(count).toBe(RECEIVERS.length * shots(sender.offloads, pairTo(1)).length);
    });

    it('flooded', () => {
      for (const { name, made } of shots(sender.offloads, { to: BROADCAST, from: wire.mac(0) })) {
        wire.sendPacket(0, made);
        wire.run();
        RECEIVERS.forEach((party, index) => {
          const features = new Set(featuresOf(party));
          const problem = arrivalProblem(made, features, wire.arrivals(index + 1));
          expect(problem, `${name} to ${partyName(party)}`).toBe('');
        });
      }
      checkQuiet();
    });

    function pairTo(to: number): { to: string; from: string } {
      return { to: wire.mac(to), from: wire.mac(0) };
    }

    /** No drops, no unexpected frame anywhere, no byte written outside the buffers. */
    function checkQuiet(): void {
      for (const [number, guest] of wire.guests.entries()) {
        expect(wire.allDrops(number)).toEqual({});
        expect(wire.arrivals(number)).toEqual([]);
        guest.pair(0).receive.checkIdleBuffers();
      }
    }
  });
}
