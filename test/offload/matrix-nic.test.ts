import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FRAME_SIZE_MAX } from '../../layout/limits.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { TestNic } from '../support/test-nic.ts';
import { arrivalProblem } from './expectations.ts';
import { FORMATS, guestOptions, type Party, partyName, shots } from './matrix.ts';
import { type Arrival, netHeaderBytes, type Packet, readNetHeader } from './packets.ts';

const PARTIES: readonly Party[] = FORMATS.flatMap((format) => [
  { offloads: 'on', isMergeable: true, format },
  { offloads: 'off', isMergeable: true, format },
  { offloads: 'checksum', isMergeable: false, format },
  { offloads: 'tso6', isMergeable: false, format },
]);

// A sample of the matrix through sockets, negotiation and a processor.
describe('guests with different offloads on a whole NIC', () => {
  let lab: TestNic;
  const guests: MockGuest[] = [];
  const arrivals: Arrival[][] = PARTIES.map(() => []);

  beforeAll(async () => {
    lab = await TestNic.start({ vfs: PARTIES.length, processors: 2 });
    for (const [number, party] of PARTIES.entries()) {
      const options = { ...guestOptions(party), frameSizeMax: FRAME_SIZE_MAX };
      const guest = await lab.connect(number, {
        ...options,
        onFrame: (frame) => {
          const { receive } = (guests[number] as MockGuest).queues.pair(0);
          arrivals[number]?.push({ frame, header: readNetHeader(receive.header) });
        },
      });
      guests.push(guest);
    }
  });
  afterAll(() => lab.close());

  async function send(from: number, made: Packet): Promise<void> {
    for (const list of arrivals) list.length = 0;
    const guest = guests[from] as MockGuest;
    const { transmit } = guest.queues.pair(0);
    expect(transmit.trySend(made.frame, 'random', netHeaderBytes(made.header))).toBe(true);
    guest.flush();
    await guest.waitTransmitted();
    for (const other of guests) other.poll();
  }

  for (const [from, sender] of PARTIES.entries()) {
    it(`a guest with offloads ${partyName(sender)} sends to each and to all`, async () => {
      for (const [to, party] of PARTIES.entries()) {
        const addresses = { to: to === from ? BROADCAST : lab.mac(to), from: lab.mac(from) };
        for (const { name, made } of shots(sender.offloads, addresses)) {
          await send(from, made);
          for (const [number, list] of arrivals.entries()) {
            const what = `${name} for ${partyName(party)} at vf${number}`;
            if (number === from || (to !== from && number !== to)) {
              expect(list.length, what).toBe(0);
              continue;
            }
            const { features } = (guests[number] as MockGuest).queues;
            expect(arrivalProblem(made, features, list), what).toBe('');
          }
        }
      }
      await lab.untilBalanced();
      lab.checkGuests();
      for (const number of PARTIES.keys()) expect(lab.drops(number)).toEqual({});
    });
  }
});
