// testpmd's vhost PMD in `io` mode: two C copies and no switching, which is the upper limit for C.

import { commandVersion } from '../commands.ts';
import { missingTestpmd, Testpmd } from '../testpmd.ts';
import { type Peer, switchCore } from './peer.ts';

const startSeconds = 20;
/** DPDK's RTE_MAX_ETHPORTS in Debian's build. */
const portsMax = 32;

export function createTestpmdVhost(): Peer {
  let testpmd: Testpmd | null = null;
  return {
    name: 'testpmd-vhost',
    socketRole: 'listens',
    portsMax,
    available: missingTestpmd,
    // testpmd has no --version; its package has one.
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
    version: () => commandVersion('dpkg-query', ['-W', '-f', 'DPDK ${Version}', 'dpdk-dev']),
    async start(sockets, { queuePairs = 1 } = {}) {
      testpmd = new Testpmd({
        name: 'testpmd-vhost',
        core: switchCore,
        isMemoryOneFile: false,
        vdevs: sockets.map((path, port) => `net_vhost${port},iface=${path},queues=${queuePairs}`),
        application: [
          ...['--forward-mode=io', '--txd=1024', '--rxd=1024', '--burst=32'],
          ...[`--rxq=${queuePairs}`, `--txq=${queuePairs}`, '--auto-start'],
        ],
      });
      await testpmd.ready(startSeconds);
    },
    async stop() {
      await testpmd?.quit();
      testpmd = null;
    },
    pids: () => (testpmd === null ? [] : [testpmd.child.pid]),
    cpuSeconds: () => testpmd?.child.cpuSeconds() ?? 0,
    tail: () => testpmd?.child.tail() ?? '',
  };
}
