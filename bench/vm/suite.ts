import type { SuiteContext } from '../suites/suite.ts';

export async function runVm(context: SuiteContext): Promise<void> {
  context.omit('vm', 'not there yet');
}
