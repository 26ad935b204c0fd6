// The driver process: guests without a virtual machine, on their own core.

import { createInterface } from 'node:readline';
import { FrontEnd, FrontEndListener } from '../../src/testing/front-end.ts';
import { readU64 } from '../../src/vhost-user/message.ts';
import { addressesOf } from './addresses.ts';
import { watchSwitch } from './clock.ts';
import { copy } from './copy.ts';
import { flood, greet, introduce, loop, offer, sink } from './loops.ts';
import { ping } from './ping.ts';
import { Port } from './port.ts';
import type { ConnectAnswer, ConnectRequest, DriverRequest } from './protocol.ts';
import { share } from './share.ts';

let ports: readonly Port[] = [];

async function connect(request: ConnectRequest): Promise<ConnectAnswer> {
  const { sockets, isListening } = request;
  const listeners = isListening ? sockets.map((path) => new FrontEndListener(path)) : [];
  const frontEnds = isListening
    ? await Promise.all(listeners.map((listener) => listener.accept()))
    : sockets.map((path) => FrontEnd.connect(path));
  const first = readU64(await frontEnds[0]!.ask('GET_FEATURES'));
  const started: Port[] = [];
  for (const [at, frontEnd] of frontEnds.entries()) {
    const { to, ...work } = request.works?.[at] ?? {};
    started.push(await Port.start(frontEnd, { ...request, ...work, ...addressesOf(at, to) }));
  }
  ports = started;
  watchSwitch(request.switchPids);
  return { offered: `0x${first.toString(16)}` };
}

async function answer(request: DriverRequest): Promise<object> {
  switch (request.command) {
    case 'connect':
      return connect(request);
    case 'introduce':
      introduce(ports);
      return {};
    case 'greet':
      greet(ports);
      return {};
    case 'share':
      return share(ports, request);
    case 'loop':
      return loop(ports, request);
    case 'offer':
      return offer(ports, request);
    case 'ping':
      return ping(ports, request);
    case 'flood':
      return flood(ports, request);
    case 'sink':
      return sink(ports, request);
    case 'copy':
      return copy(request);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const result = await answer(JSON.parse(line) as DriverRequest);
    process.stdout.write(`answer ${JSON.stringify(result)}\n`);
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stdout.write(`failure ${JSON.stringify(reason)}\n`);
  }
}
// The poller of the sockets would keep the process alive.
process.exit(0);
