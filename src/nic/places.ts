import { PORT_COUNT_MAX } from '../../layout/limits.ts';
import { operatorError } from '../errors.ts';
import type { FunctionPlace, PortPlace } from '../processor/fabric.ts';
import type { ProcessorSet } from '../processor/processor-set.ts';
import { RingNumbers } from '../state/ring-numbers.ts';

/** The numbers of a NIC's functions, rings and ports, and which processor serves whom. */
export class Places {
  readonly #numbers = new RingNumbers();
  readonly #ports = new Set<number>();
  readonly #processors: ProcessorSet;

  constructor(processors: ProcessorSet) {
    this.#processors = processors;
  }

  /** For a function with so many queues. Throws an OperatorError if there is no room for it. */
  forFunction(queues: number): FunctionPlace {
    const place = this.#allot(queues);
    this.#processors.shared.openRings(place.ringBlock, place.number);
    return place;
  }

  /** For a VF or an uplink: also a place in the switch. */
  forPort(queues: number): PortPlace {
    let port = 0;
    while (this.#ports.has(port)) port++;
    if (port >= PORT_COUNT_MAX) {
      const received = PORT_COUNT_MAX + 1;
      throw operatorError('HEDDLE_TOO_MANY_VFS', { limit: PORT_COUNT_MAX, received });
    }
    const place = this.#allot(queues);
    this.#ports.add(port);
    this.#processors.shared.openRings(place.ringBlock, place.number, port);
    return { ...place, port };
  }

  /** Of a function that was saved: its records are there already. */
  claim(place: FunctionPlace | PortPlace): void {
    this.#numbers.claim(place.number, place.ringBlock);
    if ('port' in place) this.#ports.add(place.port);
  }

  free(place: FunctionPlace | PortPlace): void {
    this.#numbers.freeFunction(place.number);
    this.#numbers.freeRings(place.ringBlock);
    if ('port' in place) this.#ports.delete(place.port);
  }

  #allot(queues: number): FunctionPlace {
    const ringBlock = this.#numbers.allotRings(queues);
    const number = ringBlock === null ? null : this.#numbers.allotFunction();
    if (ringBlock === null || number === null) {
      if (ringBlock !== null) this.#numbers.freeRings(ringBlock);
      throw operatorError('HEDDLE_TOO_MANY_FUNCTIONS', { received: `one with ${queues} queues` });
    }
    return { number, ringBlock, processor: this.#processors.leastLoaded() };
  }
}
