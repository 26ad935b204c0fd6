import { findNetDevice, type NetDevice } from '../os/net-device.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { PortFile, SourceListener, SourceState, UplinkSource, Wires } from './uplink.ts';

/** The kernel may hold on to what was closed for a moment, and does not tell when it lets go. */
const RETRY_MILLISECONDS = 50;

/**
 * A source whose wires are opened on a network interface. It is up while the interface is, and goes
 * down and comes back with it: what a kind of its own adds is how to open and close.
 */
export abstract class InterfaceSource implements UplinkSource {
  readonly #name: string;
  readonly #watch: InterfaceWatch;
  #listener: SourceListener | null = null;
  #isOpen = false;
  /** Of the interface that is open: another one may come to its name. */
  #index = 0;
  /** What the wires that are up were told. */
  #mtu = 0;
  #isUp = false;
  #isLost = false;
  /** Downs that the listener was told of and has not carried out yet. */
  #downs = 0;
  #stopWatching = () => {};
  #retry: NodeJS.Timeout | undefined;

  constructor(name: string, watch: InterfaceWatch) {
    this.#name = name;
    this.#watch = watch;
  }

  /**
   * Opens what the wires need on the interface, which is null if there is none of that name.
   * Returns the index of the interface. Throws an OperatorError, and leaves nothing open then.
   */
  protected abstract open(device: NetDevice | null): number;
  protected abstract close(): void;
  /** What is open, as wires for the processor. */
  protected abstract wires(device: NetDevice): Wires;

  /** The descriptors of what is open. */
  protected abstract descriptors(): number[];

  /** Whether what is open does not suit the interface any more. */
  protected isOutgrown(_device: NetDevice): boolean {
    return false;
  }

  /** Whether the next try to open should come soon, although no interface has changed. */
  protected isPassing(_error: unknown): boolean {
    return false;
  }

  async start(listener: SourceListener, _file: PortFile): Promise<void> {
    this.#open();
    this.#listener = listener;
    this.#stopWatching = this.#watch.add(() => this.#look());
    this.#look();
  }

  save(): SourceState {
    return { isUp: this.#isUp, fds: this.descriptors() };
  }

  lose(reason: string): void {
    this.#down(reason, true);
  }

  release(): void {
    this.#downs -= 1;
    this.#openAnew();
  }

  /** Only when the processors have let go of all wires: what they use must not be closed. */
  #openAnew(): void {
    if (!this.#isLost || this.#downs > 0) return;
    this.#isLost = false;
    this.#close();
    this.#look();
  }

  async stop(): Promise<void> {
    this.#stopWatching();
    clearTimeout(this.#retry);
    this.#listener = null;
    this.#close();
  }

  /** Compares the interface with what we know of it. */
  #look(): void {
    if (this.#listener === null || this.#isLost) return;
    if (!this.#isOpen && !this.#tryToOpen()) return;
    const device = findNetDevice(this.#name);
    if (device === null || device.index !== this.#index) this.#down('the interface is gone', true);
    else if (!device.isUp) this.#down('the interface is down', false);
    else if (this.isOutgrown(device)) this.#down('the interface has changed', true);
    else this.#up(this.wires(device));
  }

  #tryToOpen(): boolean {
    try {
      this.#open();
      return true;
    } catch (error) {
      // Not yet, or not ours: the next change of any interface is the next try.
      clearTimeout(this.#retry);
      if (this.isPassing(error)) this.#retry = setTimeout(() => this.#look(), RETRY_MILLISECONDS);
      return false;
    }
  }

  #open(): void {
    this.#index = this.open(findNetDevice(this.#name));
    this.#isOpen = true;
  }

  #up(wires: Wires): void {
    const { mtu } = wires.capabilities;
    if (this.#isUp && mtu === this.#mtu) return;
    // The wires stay; what sends on them must learn what the interface takes now.
    if (this.#isUp) this.#tell(`the MTU of the interface became ${mtu}`);
    this.#isUp = true;
    this.#mtu = mtu;
    this.#listener?.onUp(wires);
  }

  #down(reason: string, isLost: boolean): void {
    if (this.#isLost) return;
    this.#isLost = isLost;
    const wasUp = this.#isUp;
    this.#isUp = false;
    if (wasUp) this.#tell(reason);
    else this.#openAnew();
  }

  #tell(reason: string): void {
    this.#downs += 1;
    this.#listener?.onDown(reason);
  }

  #close(): void {
    if (this.#isOpen) this.close();
    this.#isOpen = false;
  }
}
