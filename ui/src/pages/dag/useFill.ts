import { type CSSProperties, type RefObject, useLayoutEffect, useState } from 'react';

/** What is below the content: the page's own padding. */
const BELOW = 49;

/** The style of a box that reaches to the end of the window, so that it scrolls and the page does not. */
export function useFill(box: RefObject<HTMLElement | null>, least = 340): CSSProperties {
  const [top, setTop] = useState(280);
  useLayoutEffect(() => {
    const found = Math.round((box.current?.getBoundingClientRect().top ?? 0) + window.scrollY);
    if (found > 0) setTop(found);
  });
  return { maxHeight: `max(${least}px, calc(100vh - ${top + BELOW}px))` };
}
