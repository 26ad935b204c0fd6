import { later } from '../background.ts';
import { findNetDevice, type NetDevice } from '../os/net-device.ts';
import type { InterfaceWatch } from './interface-watch.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from './uplink.ts';

/** The kernel may keep a closed socket busy for a moment, and does not report when it is free. */
const RETRY_MILLISECONDS = 50;

interface InterfaceState<Opened> {
  isOpen: boolean;
  isUp: boolean;
  index: number;
  mtu: number;
  opened: Opened;
}

/**
 * A source whose wires are opened on a network interface. It is up while the interface is up.
 * Subclasses say how to open and close. `Opened`: what is open, as data.
 */
export abstract class InterfaceSource<Opened extends object> implements UplinkSource {
  /** What the ports of its wires work in. */
  protected file: PortFile | null = null;
  readonly #name: string;
  readonly #watch: InterfaceWatch;
  #listener: SourceListener | null = null;
  #isOpen = false;
  /** Of the opened interface: another one may take over its name. */
  #index = 0;
  /** The MTU in the last `onUp`. */
  #mtu = 0;
  #isUp = false;
  #isLost = false;
  /** Calls of `onDown` for which `release` is outstanding. */
  #downs = 0;
  #stopWatching = () => {};
  #retry: NodeJS.Timeout | undefined;

  constructor(name: string, watch: InterfaceWatch) {
    this.#name = name;
    this.#watch = watch;
  }

  /**
   * Opens what the wires need on the interface, which is null if none has that name. Returns the
   * index of the interface. Throws an OperatorError, and then leaves nothing open.
   */
  protected abstract open(device: NetDevice | null): number;
  protected abstract close(): void;
  /** The wires of what is open, for the processor. */
  protected abstract wires(device: NetDevice): Wires;

  /** What is open, as data; null if another source can only open it anew. */
  protected abstract saveOpened(): Opened | null;
  /** In place of `open`: takes over what another source had. */
  protected abstract adopt(opened: Opened): void;

  /** Whether what is open no longer suits the interface. */
  protected isOutgrown(_device: NetDevice): boolean {
    return false;
  }

  /** Whether to retry soon, even if no interface changes. */
  protected isPassing(_error: unknown): boolean {
    return false;
  }

  async start(listener: SourceListener, file: PortFile): Promise<void> {
    this.file = file;
    this.#open();
    this.#listener = listener;
    this.#stopWatching = this.#watch.add(() => this.#look());
    this.#look();
  }

  save(): InterfaceState<Opened> | null {
    const opened = this.saveOpened();
    const [isOpen, isUp, index, mtu] = [this.#isOpen, this.#isUp, this.#index, this.#mtu];
    return opened === null ? null : { isOpen, isUp, index, mtu, opened };
  }

  restore(
    listener: SourceListener,
    file: PortFile,
    state: InterfaceState<Opened> | null,
  ): Wires | null {
    this.file = file;
    this.#listener = listener;
    this.#stopWatching = this.#watch.add(() => this.#look());
    const wires = state === null ? null : this.#goOn(state);
    this.#watch.whenOpen(
      () => this.#look(), // since then, the interface may have changed
      (reason) => (this.#isUp ? this.#down(reason, true) : this.#tell(reason)),
    );
    return wires;
  }

  /** What was up still is, as long as it is the same interface: what else has changed is told. */
  #goOn({ isOpen, isUp, index, mtu, opened }: InterfaceState<Opened>): Wires | null {
    this.adopt(opened);
    this.#isOpen = isOpen;
    this.#index = index;
    const device = findNetDevice(this.#name);
    if (!isUp || device === null || device.index !== index) return null;
    this.#isUp = true;
    this.#mtu = mtu;
    return this.wires(device);
  }

  handOver(): void {
    this.#stopListening();
  }

  #stopListening(): void {
    this.#stopWatching();
    clearTimeout(this.#retry);
    this.#listener = null;
  }

  lose(reason: string): void {
    this.#down(reason, true);
  }

  release(): void {
    this.#downs -= 1;
    this.#openAnew();
  }

  /** Only after the processors have released all wires: they must not use closed descriptors. */
  #openAnew(): void {
    if (!this.#isLost || this.#downs > 0) return;
    this.#isLost = false;
    this.#close();
    this.#look();
  }

  async stop(): Promise<void> {
    this.#stopListening();
    this.#close();
  }

  /** Compares the interface with what is known of it. */
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
      // Not possible yet: the next change of any interface causes the next try.
      clearTimeout(this.#retry);
      if (this.isPassing(error)) {
        this.#retry = later('look at an interface', RETRY_MILLISECONDS, () => this.#look());
      }
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
    // The wires stay, but the switch must learn the new MTU.
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
