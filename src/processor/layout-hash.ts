import * as counters from '../../layout/counters.ts';
import * as limits from '../../layout/limits.ts';
import * as memory from '../../layout/memory.ts';
import * as vf from '../../layout/port.ts';
import * as processor from '../../layout/processor.ts';
import * as switching from '../../layout/switch.ts';
import * as virtio from '../../layout/virtio.ts';
import * as virtqueue from '../../layout/virtqueue.ts';

/**
 * A 31-bit hash (FNV-1a) over every constant of layout/. The build passes it to the firmware's
 * compiler; a processor refuses firmware that was built from another layout.
 */
export function layoutHash(): number {
  known ??= hashLayout();
  return known;
}

let known: number | undefined;

function hashLayout(): number {
  const modules = { counters, limits, memory, processor, switching, vf, virtio, virtqueue };
  let hash = 0x811c9dc5;
  for (const [room, constants] of Object.entries(modules)) {
    // Sorted, because modules loaded by a test runner list their names in another order than
    // Node's.
    for (const [name, value] of Object.entries(constants).sort(byName)) {
      for (const byte of new TextEncoder().encode(`${room}.${name}=${value};`)) {
        hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
      }
    }
  }
  return hash & 0x7fffffff;
}

function byName([a]: [string, number], [b]: [string, number]): number {
  return a < b ? -1 : 1;
}
