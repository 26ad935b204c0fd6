import { namespaceMissing } from '../../support/namespace.ts';
import { xdpSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks(() => [
  xdpSpecimen(namespaceMissing, 1, 1500),
  xdpSpecimen(namespaceMissing, 2, 1500),
]);
