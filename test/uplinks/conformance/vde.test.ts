import { vdeSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks((directory) => [vdeSpecimen(directory)]);
