import * as layout from '../../layout/counters.ts';
import * as virtqueue from '../../layout/virtqueue.ts';

/** The drop reasons in the order of their numbers: DROP_BUFFER_ADDRESS is `bufferAddress`. */
export const DROP_NAMES: readonly string[] = namesOf(layout, 'DROP_', ['DROP_REASON_COUNT']);

/** The same for the reasons of ring faults: RING_FAULT_AVAIL_INDEX is `availIndex`. None is 0. */
export const FAULT_NAMES: readonly string[] = namesOf(virtqueue, 'RING_FAULT_', [
  'RING_FAULT_NONE',
]);

function namesOf(constants: object, prefix: string, others: readonly string[]): string[] {
  const names: string[] = [];
  for (const [constant, number] of Object.entries(constants)) {
    if (!constant.startsWith(prefix) || others.includes(constant)) continue;
    names[number] = camelCase(constant.slice(prefix.length));
  }
  return names;
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
