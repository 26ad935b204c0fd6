// The options that say what VFs and groups are promised. Rates and sizes are checked by the NIC,
// whose validator has the better message.

import type { Command } from 'commander';
import { wholeNumber } from './options.ts';

export function addSendingOptions(command: Command): Command {
  return command
    .option('--tx-share <rate>', 'guaranteed, such as 1Gbit or 500Mbit; none')
    .option('--tx-max <rate>', 'never more than this, such as 5Gbit; none')
    .option('--tx-weight <1-1000>', 'its part of what is left', wholeNumber)
    .option('--tx-priority <0-7>', 'the higher sends first, within its limit', wholeNumber)
    .option('--tx-burst <size>', 'what may follow each other after a pause, such as 2MB; none');
}

export function addReceivingOptions(command: Command): Command {
  return command
    .option('--tx-max-packets <rate>', 'never more packets/s than this, such as 1M; none')
    .option('--rx-max <rate>', 'receives no more than this, such as 5Gbit; none')
    .option('--rx-max-packets <rate>', 'receives no more packets/s than this; none');
}
