const NEVER_BEGAN = ['skipped', 'upstream_failed', 'removed', 'none'];
type Tried = { state: string; try_number: number; queued_at?: string | null };

/** How many tries a task instance has had; of one whose next try has not begun, its number is that of the try to come. */
export function triesMade({ state, try_number, queued_at }: Tried): number {
  const ahead = state === 'scheduled' || (NEVER_BEGAN.includes(state) && !queued_at);
  return ahead ? Math.max(0, try_number - 1) : try_number;
}
