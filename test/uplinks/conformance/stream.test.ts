import { streamSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks((directory) => [
  streamSpecimen(directory, 'server'),
  streamSpecimen(directory, 'client'),
]);
