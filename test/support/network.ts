import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Bytes of a stream between two ends: enough for a hundred super-frames. */
export const STREAM_BYTES = 8 << 20;
const PORT = 5001;
/** Datagrams with the start of the stream; few enough for the buffer of a socket. */
export const DATAGRAM_COUNT = 80;
export const DATAGRAM_SIZE = 1200;
/** Datagrams per call, which the kernel segments late (UDP_SEGMENT). */
export const DATAGRAMS_IN_ONE = 10;

/** Pseudo-random bytes that are always the same, so that both ends know them. */
const STREAM = `
  const cipher = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const bytes = cipher.update(Buffer.alloc(${STREAM_BYTES}));
  const sumOf = (what) => crypto.createHash('sha256').update(what).digest('hex');`;

const SERVER = `
  const parts = [];
  require('net').createServer((socket) => {
    socket.on('data', (part) => parts.push(part));
    socket.on('error', (error) => { console.log(error.code); process.exit(); });
    socket.on('end', () => { console.log(sumOf(Buffer.concat(parts))); process.exit(); });
  }).listen(${PORT}, HOST, () => console.log('ready'));`;

const CLIENT = `require('net').connect(${PORT}, HOST).end(bytes);`;

const DATAGRAM_SERVER = `
  const parts = [];
  const socket = require('dgram').createSocket('udp4');
  socket.on('message', (part) => {
    parts.push(part);
    if (parts.length < ${DATAGRAM_COUNT}) return;
    console.log(sumOf(Buffer.concat(parts)));
    process.exit();
  });
  socket.bind(${PORT}, HOST, () => console.log('ready'));`;

/** Node has no API for UDP_SEGMENT (udp(7)), but the C library has. */
const DATAGRAM_CLIENT = `
  const libc = require('koffi').load('libc.so.6');
  const fd = libc.func('int socket(int domain, int type, int protocol)')(2, 2, 0);
  const set = libc.func('int setsockopt(int fd, int level, int name, int *value, uint32_t n)');
  const send = libc.func('int sendto(int fd, void *b, size_t n, int flags, void *to, uint32_t m)');
  if (set(fd, 17, 103, [${DATAGRAM_SIZE}], 4) !== 0) throw new Error('no UDP_SEGMENT');
  const to = Buffer.alloc(16);
  to.set([2, 0, ${PORT >> 8}, ${PORT & 0xff}, ...HOST.split('.').map(Number)]);
  const size = ${DATAGRAM_SIZE * DATAGRAMS_IN_ONE};
  for (let at = 0; at < ${DATAGRAM_COUNT * DATAGRAM_SIZE}; at += size) {
    if (send(fd, bytes.subarray(at, at + size), size, 0, to, 16) !== size) throw new Error('full');
  }`;

/**
 * A second network stack: a network namespace that a child process keeps open until it ends.
 */
export class Network {
  readonly #holder: ChildProcess | null;

  private constructor(holder: ChildProcess | null) {
    this.#holder = holder;
  }

  /** The network of this process. */
  static own(): Network {
    return new Network(null);
  }

  static async create(): Promise<Network> {
    const script = 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo; exec cat';
    const holder = spawn('unshare', ['--net', 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const network = new Network(holder);
    network.ip('link set lo up');
    return network;
  }

  /** Moves an interface of this process's namespace into this network. */
  take(name: string): void {
    execFileSync('ip', ['link', 'set', name, 'netns', `${this.#holder?.pid}`]);
  }

  /** Runs `ip` with the arguments in `line`. */
  ip(line: string): void {
    this.run('ip', ...line.split(' '));
  }

  run(...words: string[]): string {
    const [program = '', ...rest] = this.#enter(words);
    return execFileSync(program, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  close(): void {
    this.#holder?.kill();
  }

  /** Receives a stream on an address of this network. Resolves when it listens. */
  listen(host: string): Promise<Listening> {
    return this.#listen(SERVER, host);
  }

  /** Sends the stream to an address. Returns a function that ends it. */
  send(host: string): () => void {
    return this.#start(CLIENT, host);
  }

  /** The same with datagrams, on an IPv4 address. */
  listenForDatagrams(host: string): Promise<Listening> {
    return this.#listen(DATAGRAM_SERVER, host);
  }

  sendDatagrams(host: string): () => void {
    return this.#start(DATAGRAM_CLIENT, host);
  }

  async #listen(script: string, host: string): Promise<Listening> {
    const server = this.#node(script, host);
    const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
    const next = async (): Promise<string> => ((await once(lines, 'line')) as string[])[0] ?? '';
    const first = await next();
    if (first !== 'ready') throw new Error(`the server says ${first}`);
    return { sum: next(), close: () => void server.kill() };
  }

  #start(script: string, host: string): () => void {
    const client = this.#node(script, host);
    return () => void client.kill();
  }

  #node(script: string, host: string): ChildProcess {
    const whole = `${STREAM}\n${script.replace('HOST', JSON.stringify(host))}`;
    const [program = '', ...rest] = this.#enter([process.execPath, '-e', whole]);
    return spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  #enter(words: string[]): string[] {
    return this.#holder === null ? words : ['nsenter', '-t', `${this.#holder.pid}`, '-n', ...words];
  }
}

interface Listening {
  /** The checksum of the data that arrived, available at the end. */
  sum: Promise<string>;
  close(): void;
}
