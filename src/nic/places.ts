import { PORT_COUNT_MAX } from '../../layout/limits.ts';
import { operatorError } from '../errors.ts';
import type { FunctionPlace, PortPlace } from '../processor/fabric.ts';
import type { ProcessorSet } from '../processor/processor-set.ts';
import { RingNumbers } from '../state/ring-numbers.ts';

/** Allots the numbers of functions, rings and ports, and the processor that serves a function. */
export class Places {
  readonly #numbers = new RingNumbers();
  readonly #ports = new Set<number>();
  readonly #processors: ProcessorSet;

  constructor(processors: ProcessorSet) {
    this.#processors = processors;
  }

  /** For a function with this many queues. Throws an OperatorError if there is no room. */
  forFunction(queues: number): FunctionPlace {
    const place = this.#allot(queues);
    this.#processors.shared.openRings(place.ringBlock, place.number);
    return place;
  }

  /** For a VF or an uplink, which also get a port in the switch. */
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

  /** For a restored function: its records exist already. */
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
    this.#processors.shared.openAccount(number);
    return { number, ringBlock, processor: this.#processors.leastLoaded() };
  }
}
