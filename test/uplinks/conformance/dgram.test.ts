import { dgramSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks((directory) => [dgramSpecimen(directory, false), dgramSpecimen(directory, true)]);
