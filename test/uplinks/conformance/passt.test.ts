import { passtSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks((directory) => [passtSpecimen(directory)]);
