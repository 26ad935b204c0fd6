// The ports that can receive, which are those that flooding reaches. Private to the processor;
// changes only between turns.
import { PORT_LIST_BASE } from '../../layout/memory';
import { registers } from '../memory/registers';
import { claimAddress, releaseAddress } from './own-address';

export function portCount(): u32 {
  return registers().portCount;
}

export function portAt(index: u32): u32 {
  return load<u32>(PORT_LIST_BASE + (index << 2));
}

export function hasOtherPort(port: u32): bool {
  const ports = registers().portCount;
  return ports > 1 || (ports == 1 && portAt(0) != port);
}

/**
 * Host: a port starts or stops receiving, or its own address has changed. The list is sorted,
 * because a flood resumes after a port number.
 */
export function setPort(port: u32, isUp: bool): void {
  const words = registers();
  const place = placeOf(port);
  const isListed = place < words.portCount && portAt(place) == port;
  if (isUp) claimAddress(port, !isListed);
  else releaseAddress(port);
  if (isUp == isListed) return;
  if (isUp) {
    for (let i = words.portCount; i > place; i--) setPortAt(i, portAt(i - 1));
    setPortAt(place, port);
    words.portCount += 1;
  } else {
    words.portCount -= 1;
    for (let i = place; i < words.portCount; i++) setPortAt(i, portAt(i + 1));
  }
}

/** The index of the first listed port that is not below this one. */
export function placeOf(port: u32): u32 {
  let place: u32 = 0;
  while (place < portCount() && portAt(place) < port) place++;
  return place;
}

function setPortAt(place: u32, port: u32): void {
  store<u32>(PORT_LIST_BASE + (place << 2), port);
}
