import { expect, it } from 'vitest';
import { TestNic } from '../../test/support/test-nic.ts';
import { readU64 } from '../vhost-user/message.ts';
import { DEFAULT_PROTOCOL_FEATURES } from './handshake.ts';

const STATUS = 16;
/** ACKNOWLEDGE, DRIVER, DRIVER_OK and FEATURES_OK. */
const DRIVER_RUNS = 0x0fn;

it('tells a back end that asks for it that the driver runs', async () => {
  const lab = await TestNic.start();
  const guest = await lab.connect(0);
  expect(readU64(await guest.frontEnd.ask('GET_STATUS'))).toBe(DRIVER_RUNS);
  // Other back ends must not get it.
  const protocolFeatures = DEFAULT_PROTOCOL_FEATURES.filter((bit) => bit !== STATUS);
  const plain = await lab.connect(1, { protocolFeatures });
  expect(plain.negotiated.protocolFeatures.has(STATUS)).toBe(false);
  await lab.close();
});
