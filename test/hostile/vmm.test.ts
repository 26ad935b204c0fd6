import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainFrame } from '../../src/testing/frames.ts';
import { hastened } from '../support/hastened.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';
import { VMM_CASES, type VmmCase } from './vmm-cases.ts';

// After an honest handshake, a VMM attacks the NIC while its guest runs. Whatever the VMM does, the
// bystanders continue, and the VF serves the next VMM.

for (const processors of [1, 2]) {
  describe(`a VMM after the handshake, with ${processors} processors`, () => {
    let hostile: HostileLab;

    beforeAll(async () => {
      hostile = await HostileLab.start({ processors });
    });

    afterAll(async () => {
      await hostile.close();
    });

    async function run({ attack, isTurnedOut = false, deadlineMs }: VmmCase): Promise<void> {
      const { lab } = hostile;
      const guest = await lab.connect(ATTACKER, { isRaw: false });
      const gone = lab.next('disconnect', ATTACKER);
      const turn = async (): Promise<void> => {
        await attack({ guest, mac: lab.mac(ATTACKER), to: lab.mac(TARGET) });
        if (isTurnedOut) await gone; // the NIC ends it by itself
      };
      await (deadlineMs === undefined ? turn() : hastened(deadlineMs, turn));
      guest.close();
      await gone;
    }

    /** A new guest sends a frame, and receives one. */
    async function expectService(): Promise<void> {
      const { lab, target } = hostile;
      target.received();
      const guest = await lab.connect(ATTACKER);
      const addresses = { to: lab.mac(TARGET), from: lab.mac(ATTACKER) };
      const ping = plainFrame(addresses, 777);
      guest.send(ping);
      for (;;) if (Buffer.from(await target.nextFrame()).equals(ping)) break;
      const pong = plainFrame({ to: addresses.from, from: addresses.to }, 778);
      target.send(pong);
      expect(Buffer.from(await guest.nextFrame()).equals(pong)).toBe(true);
      await lab.disconnect(ATTACKER, guest);
    }

    for (const vmmCase of VMM_CASES) {
      it(vmmCase.title, async () => {
        await hostile.withBystanders(() => run(vmmCase));
        await expectService();
      });
    }
  });
}
