// What is promised about sharing. What no suite measures yet is listed too: it is then reported as
// not measured.

import { beforeName } from './peers/heddle.ts';
import {
  atLeast,
  atMost,
  figure,
  type Promised,
  ratio,
  surely,
  within,
  worst,
} from './promises.ts';
import { limitedWorkload, unlimitedWorkload } from './suites/sharing-cost.ts';
import { guaranteeWorkload, liftedWorkload } from './suites/sharing-floods.ts';
import { aloneWorkload, besideWorkload, reactions } from './suites/sharing-ping.ts';
import { metrics } from './suites/sharing-record.ts';

const suite = 'sharing';
const lossless = 'highest lossless rate';
const percent = (must: number, aim: number) => atMost(must, aim, ' %');

export const sharing: readonly Promised[] = [
  worst(suite, 'txMax', metrics.rateError, percent(1, 0.5)),
  worst(suite, 'txMax', metrics.windows, atLeast(95, null, ' %')),
  worst(suite, 'rxMax', metrics.rateError, percent(1, 0.5)),
  worst(suite, guaranteeWorkload, metrics.guarantee, atLeast(99, 99.9, ' %')),
  worst(suite, 'weights', metrics.rateError, percent(1, 0.5)),
  worst(suite, 'equal', metrics.jain, atLeast(0.999, 0.9999, '')),
  figure(suite, liftedWorkload, metrics.utilisation, atLeast(99, 100, ' %')),
  ...reactions.flatMap(({ microseconds, ...bounds }) => [
    within(
      ...([suite, besideWorkload(microseconds), aloneWorkload(microseconds), metrics.p99] as const),
      atMost(bounds.must, bounds.aim, ' ×'),
    ),
    ratio(suite, besideWorkload(microseconds), metrics.p999, 'ovs-dpdk', atMost(0.5, 0.25, ' ×')),
  ]),
  worst(suite, 'held', metrics.cpu, atMost(1, null, ' % of a core')),
  surely(within(suite, limitedWorkload, unlimitedWorkload, metrics.rate, atLeast(0.9, 0.95))),
  surely(ratio(suite, limitedWorkload, metrics.rate, beforeName, atLeast(0.9, 0.95))),
  surely(ratio(suite, unlimitedWorkload, metrics.rate, beforeName, atLeast(0.95, 1))),
  // Judged when their suites measure them.
  figure(suite, 'TCP of a guest at txMax', metrics.goodput, atLeast(98.5, 99.5, ' %')),
  figure(suite, 'a VF stops', metrics.handOver, atMost(1, 0.1, ' ms')),
  figure(suite, 'a VF that toggles', metrics.part, atMost(1.05, 1, ' ×')),
];

/** What sharing must not cost elsewhere, and pacing brings: measured by other suites. */
export const beside: readonly Promised[] = [
  ...[64, 128, 256, 512, 1024, 1518].map((size) =>
    ratio('open-loop', `${size} B`, lossless, 'ovs-dpdk', atLeast(1, 1.5)),
  ),
  ratio('forward', '64 B, any order', 'rate', 'ovs-dpdk', atLeast(1.2, 1.8)),
  ratio('forward', '64 B, any order', 'rate', 'testpmd-vhost', atLeast(0.9, 1.1)),
];
