import { namespaceMissing } from '../../support/namespace.ts';
import { tapSpecimen } from './specimens.ts';
import { describeUplinks } from './suite.ts';

describeUplinks(() => [
  tapSpecimen(namespaceMissing, 1, 1500),
  tapSpecimen(namespaceMissing, 2, 9000),
]);
