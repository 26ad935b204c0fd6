import { Guest } from './guest/guest.ts';
import { streamMbps } from './guest/tcp-stream.ts';
import type { Attachment, Direction, FetchedPage, GuestPair, PageServer } from './guest-pair.ts';

const firstAddress = '10.0.0.1';
const secondAddress = '10.0.0.2';
const connectSeconds = 30;

/** What the DHCP client runs when it gets an address. The guest's own address stays. */
const dhcpScript = `cat >/tmp/dhcp.sh <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
ip route add default via $router
echo "$ip $router" >/tmp/lease
END
chmod +x /tmp/dhcp.sh`;

/** Starts two Linux machines under QEMU; `connected()` waits for them. */
export function startLinuxGuests(first: Attachment, second: Attachment): GuestPair {
  return new LinuxGuests(first, second);
}

class LinuxGuests implements GuestPair {
  readonly kind = 'qemu';
  #client: Guest;
  #server: Guest;

  constructor(first: Attachment, second: Attachment) {
    this.#client = new Guest({ ...first, address: `${firstAddress}/24` });
    this.#server = new Guest({ ...second, address: `${secondAddress}/24` });
  }

  async connected(): Promise<void> {
    await Promise.all([this.#client.booted(), this.#server.booted()]);
    const tryUntilAnswered = `until ping -c 1 -W 1 ${secondAddress} >/dev/null; do :; done`;
    await this.#client.run(tryUntilAnswered, connectSeconds);
  }

  async ping(count: number): Promise<number[]> {
    const output = await this.#client.run(`ping -c ${count} -i 0.1 ${secondAddress}`);
    return [...output.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  }

  stream(direction: Direction, seconds: number): Promise<number> {
    const isReverse = direction === 'reverse';
    return streamMbps(this.#client, this.#server, secondAddress, { seconds, isReverse });
  }

  async fetchPage({ port, host }: PageServer): Promise<FetchedPage> {
    const dhcp = `udhcpc -i eth0 -n -q -t 5 -s /tmp/dhcp.sh >&2 && cat /tmp/lease`;
    const lease = host === undefined ? await this.#client.run(`${dhcpScript}\n${dhcp}`) : '';
    const [, address = firstAddress, router = host] = lease.match(/^([\d.]+) ([\d.]+)$/m) ?? [];
    const page = await this.#client.run(`wget -q -O - http://${router}:${port}/`);
    return { address, page };
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#server.close()]);
  }
}
