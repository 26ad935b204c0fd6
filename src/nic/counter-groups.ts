import { PROCESSOR_COUNTERS, PROCESSOR_NOTES, WINDOW_COUNTERS } from '../processor/stats.ts';
import { ACCOUNT_COUNTERS } from '../state/accounts.ts';
import {
  type CounterText,
  countersOf,
  type Direction,
  RING_COUNTERS,
} from '../state/counter-table.ts';
import { DROP_REASONS } from '../state/drop-reasons.ts';
import { FAULT_REASONS } from '../state/ring-problem.ts';
import { ADDRESS_COUNTERS } from '../state/stats.ts';
import { KERNEL_COUNTERS, KERNEL_DROPS } from '../uplinks/kernel-stats.ts';
import { WIRE_COUNTERS, WIRE_DROPS } from '../wires/wire-stats.ts';

type Texts = Readonly<Record<string, CounterText>>;

/** The counters that form one object in the `NicStats` of a port or a processor. */
interface CounterGroup {
  /** The path to that object: ['wire', 'drops'] for `wire.drops`, [] for the top level. */
  readonly path: readonly string[];
  readonly counters: Texts;
}

/** For VFs and uplinks. Groups that a port does not have are missing from its stats. */
export const PORT_COUNTERS: readonly CounterGroup[] = [
  ...ringGroups('tx'),
  ...ringGroups('rx'),
  ...ringGroups('control'),
  { path: ['addresses'], counters: ADDRESS_COUNTERS },
  { path: ['account'], counters: ACCOUNT_COUNTERS },
  { path: ['wire'], counters: WIRE_COUNTERS },
  { path: ['wire', 'drops'], counters: WIRE_DROPS },
  { path: ['kernel'], counters: KERNEL_COUNTERS },
  { path: ['kernel', 'drops'], counters: KERNEL_DROPS },
];

export const PROCESSOR_GROUPS: readonly CounterGroup[] = [
  { path: [], counters: { ...PROCESSOR_NOTES, ...PROCESSOR_COUNTERS } },
  { path: ['windows'], counters: WINDOW_COUNTERS },
];

function ringGroups(direction: Direction): CounterGroup[] {
  const texts = (entries: [string, { readonly help: string }][], unit: CounterText['unit']) =>
    Object.fromEntries(entries.map(([name, { help }]) => [name, { unit, help }]));
  return [
    { path: [direction], counters: Object.fromEntries(countersOf(RING_COUNTERS, direction)) },
    {
      path: [direction, 'drops'],
      counters: texts(
        countersOf(DROP_REASONS, direction),
        direction === 'control' ? 'commands' : 'frames',
      ),
    },
    { path: [direction, 'faultReasons'], counters: texts(Object.entries(FAULT_REASONS), 'events') },
  ];
}
