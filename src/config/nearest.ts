// "Did you mean …?": the candidate nearest to a misspelt key.

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/**
 * The nearest candidate within a third of the word's length, or undefined: a wild guess helps
 * nobody.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  // Nobody misspells a key of this length, and the distance is quadratic.
  if (word.length > 64) return undefined;
  // snake_case and kebab-case are how other tools write the same key.
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '');
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best === undefined) return undefined;
  return best.distance <= Math.max(1, Math.floor(word.length / 3)) ? best.candidate : undefined;
}
