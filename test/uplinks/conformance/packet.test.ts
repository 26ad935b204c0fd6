import { namespaceMissing } from '../../support/namespace.ts';
import { packetSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks(() => [packetSpecimen(namespaceMissing)]);
