import { internalSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks((directory) => [
  internalSpecimen(directory, 'loopback'),
  internalSpecimen(directory, 'null'),
]);
