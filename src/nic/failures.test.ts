import { afterEach, describe, expect, it } from 'vitest';
import { TestNic } from '../../test/support/test-nic.ts';
import { reportFailure } from '../background.ts';

let lab: TestNic;
afterEach(() => lab.close());

describe('an error in the control plane', () => {
  it('in a listener stops neither the NIC nor the other listeners', async () => {
    lab = await TestNic.start();
    const reasons: string[] = [];
    lab.nic.on('internal-error', ({ reason }) => reasons.push(reason));
    lab.nic.on('ready', () => {
      throw new Error('no');
    });
    const others = lab.next('ready', 0);
    const guest = await lab.connect(0);
    await others;
    await lab.disconnect(0, guest);
    await lab.connect(0);
    expect(reasons.slice(0, 1)).toEqual(['cannot tell a listener of "ready": no']);
  });

  it('is reported as an event, and a flood of errors as only a few events', async () => {
    lab = await TestNic.start();
    const reasons: string[] = [];
    lab.nic.on('internal-error', ({ reason }) => reasons.push(reason));
    for (let times = 0; times < 1000; times++) reportFailure('do it', new Error('no'));
    expect(reasons[0]).toBe('cannot do it: no');
    expect(reasons.length).toBeLessThan(20);
  });

  it('is thrown to the operator by changes after the NIC has closed', async () => {
    lab = await TestNic.start();
    const closing = lab.nic.close();
    const refused = { code: 'HEDDLE_NIC_CLOSED' };
    const vf = { name: 'late', socket: `${lab.directory}/late.sock` };
    await expect(lab.nic.addVf(vf)).rejects.toMatchObject(refused);
    await expect(lab.nic.removeVf('vf0')).rejects.toMatchObject(refused);
    await expect(lab.nic.apply({ vfs: [vf] })).rejects.toMatchObject(refused);
    await closing;
    await expect(lab.nic.setVf('vf0', { mtu: 1400 })).rejects.toMatchObject(refused);
  });
});
