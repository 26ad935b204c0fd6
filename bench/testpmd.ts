// DPDK's testpmd, driven through its prompt: a command has ended when the next prompt appears.

import { Child } from './child.ts';
import { findCommand, run } from './commands.ts';
import { dpdkEnvironment } from './dpdk.ts';
import { makeTemporaryDirectory } from './resources.ts';

const prompt = 'testpmd> ';
const promptPattern = new RegExp(prompt);
const commandSeconds = 10;

/** Memory of one testpmd in MiB: its default pool of mbufs takes 330. */
const memoryMiB = 512;

const testpmdCommand = 'dpdk-testpmd';

/** Null if testpmd can run here, otherwise the reason. */
export function missingTestpmd(): string | null {
  if (findCommand(testpmdCommand) !== null) return null;
  return `${testpmdCommand} is not installed (Debian package dpdk-dev)`;
}

/** The year of testpmd's DPDK: its libraries have one version per year. */
export function testpmdYear(): number {
  const libraries = run('ldd', [findCommand(testpmdCommand) ?? '']);
  return 2000 + Number(/librte_eal\.so\.(\d+)/.exec(libraries)?.[1]) - 1;
}

export interface TestpmdOptions {
  readonly name: string;
  readonly core: number;
  readonly vdevs: readonly string[];
  /** virtio-user shares at most 8 memory regions, so all huge pages must be one file. */
  readonly isMemoryOneFile: boolean;
  /** The arguments after `--`. */
  readonly application: readonly string[];
}

export class Testpmd {
  readonly child: Child;
  readonly #directory = makeTemporaryDirectory('dpdk');
  #read = 0;

  constructor(options: TestpmdOptions) {
    const core = options.core;
    this.child = new Child(
      options.name,
      testpmdCommand,
      [
        // Two lcores on one core: the main one only reads commands, the other forwards.
        ...['--lcores', `0@${core},1@${core}`, '--main-lcore', '0'],
        // Without --no-pci, DPDK would probe the machine's own network card.
        ...['--no-pci', '--in-memory', '-m', String(memoryMiB)],
        ...(options.isMemoryOneFile ? ['--single-file-segments'] : []),
        ...options.vdevs.flatMap((vdev) => ['--vdev', vdev]),
        ...['--', '-i', ...options.application],
      ],
      { cores: String(core), env: dpdkEnvironment(this.#directory.path) },
    );
  }

  /** Resolves at the first prompt: all ports are configured, and as a server also connected. */
  async ready(timeoutSeconds: number): Promise<void> {
    this.#read = await this.child.waitFor(promptPattern, 0, timeoutSeconds, 'printed');
  }

  /** Runs one command and returns its output. */
  async command(line: string): Promise<string> {
    const from = this.#read;
    this.child.write(`${line}\n`);
    this.#read = await this.child.waitFor(promptPattern, from, commandSeconds, 'printed');
    return this.child.printed.slice(from, this.#read - prompt.length);
  }

  async quit(): Promise<void> {
    if (!this.child.hasEnded) this.child.write('quit\n');
    await this.child.finish(commandSeconds);
    this.#directory.remove();
  }
}
