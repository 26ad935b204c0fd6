import { afterAll, expect, it } from 'vitest';
import { onFailure } from '../background.ts';
import type { NetDevice } from '../os/net-device.ts';
import { PollLoop } from '../os/poll-loop.ts';
import { Poller } from '../os/poller.ts';
import { InterfaceSource } from './interface-source.ts';
import { InterfaceWatch } from './interface-watch.ts';
import { plainCapabilities } from './stream.ts';
import type { PortFile, Wires } from './uplink.ts';

const loop = new PollLoop();

afterAll(() => loop.close());

/** On the loopback interface, which always exists. Opens nothing. */
class LoopbackSource extends InterfaceSource<object> {
  error: Error | null = null;

  protected open(device: NetDevice | null): number {
    return device?.index ?? 0;
  }

  protected close(): void {}

  protected saveOpened(): object {
    return {};
  }

  protected adopt(): void {}

  protected wires(device: NetDevice): Wires {
    return { capabilities: plainCapabilities(device.mtu, 1), settings: [] };
  }

  protected override isOutgrown(): boolean {
    if (this.error !== null) throw this.error;
    return false;
  }
}

it.each([true, false])('tells why it cannot go on, whether it was up or not: %s', async (isUp) => {
  const file: PortFile = { fd: -1, pairs: 1, hasRingRoom: false };
  const told: string[] = [];
  const listener = { onUp: () => told.push('up'), onDown: (why: string) => told.push(why) };
  const first = new LoopbackSource('lo', new InterfaceWatch(new Poller({ loop })));
  await first.start({ onUp: () => undefined, onDown: () => undefined }, file);
  const state = { ...first.save(), isUp } as NonNullable<ReturnType<LoopbackSource['save']>>;
  await first.stop();

  const poller = new Poller({ loop, isHeld: true });
  const source = new LoopbackSource('lo', new InterfaceWatch(poller));
  source.error = new Error('no descriptors');
  expect(source.restore(listener, file, state) !== null).toBe(isUp);
  const failures: string[] = [];
  const stopListening = onFailure(({ error }) => failures.push(error.message));
  poller.open();
  stopListening();
  expect(failures).toEqual(['no descriptors']);
  expect(told).toEqual(['no descriptors']);
  await source.stop();
});
