import { IOTLB_READ, IOTLB_WRITE } from '../../layout/memory.ts';
import { IOMMU_PAGE_SIZE, pageStart } from '../memory/iotlb.ts';
import type { RingPart } from '../virtqueue/ring-setup.ts';
import type { Iommu } from './iommu.ts';

/** Whether all parts of a ring are translated. Requests the missing translations. */
export function askForParts(iommu: Iommu, parts: readonly RingPart[]): boolean {
  let isComplete = true;
  for (const { address, lengthBytes, isWritten } of parts) {
    const access = isWritten ? IOTLB_WRITE : IOTLB_READ;
    const end = address + BigInt(lengthBytes);
    for (let iova = pageStart(address); iova < end; iova += BigInt(IOMMU_PAGE_SIZE)) {
      if (iommu.lookUp(iova, access) !== null) continue;
      iommu.miss(iova, access);
      isComplete = false;
    }
  }
  return isComplete;
}
