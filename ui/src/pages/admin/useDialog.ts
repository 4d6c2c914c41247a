import { useState } from 'react';

/** Which dialog is open, and for what: one at a time. */
export function useDialog<T>() {
  const [open, setOpen] = useState<T | null>(null);
  return { open, show: setOpen, close: () => setOpen(null) };
}
