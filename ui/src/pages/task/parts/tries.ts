type Tried = { state: string; try_number: number; queued_at?: string | null };

/** How many tries a task instance has had; of one that is scheduled or never was queued, its number is that of the try to come. */
export const triesMade = (ti: Tried): number =>
  ti.state === 'scheduled' || (ti.queued_at === null && ti.try_number > 0) ? Math.max(0, ti.try_number - 1) : ti.try_number;
