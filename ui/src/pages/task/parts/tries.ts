/** How many tries a task instance has had; while it is scheduled, its number is that of the try that will come. */
export const triesMade = (ti: { state: string; try_number: number }): number =>
  ti.state === 'scheduled' ? Math.max(0, ti.try_number - 1) : ti.try_number;
