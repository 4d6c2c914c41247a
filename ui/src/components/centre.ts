/** Scroll a box to the side until something in it is in its middle, as far as that goes. The page stays where it is. */
export function centre(box: Element | null | undefined, selector: string): void {
  const inner = box?.querySelector(selector);
  if (!box || !inner) return;
  const [outer, found] = [box.getBoundingClientRect(), inner.getBoundingClientRect()];
  box.scrollLeft += found.left + found.width / 2 - (outer.left + outer.width / 2);
}
