import { type RefObject, useLayoutEffect, useState } from 'react';

export type Measure = { height: number; width: number; character: number };

/** The size of the place to scroll in, and the width of a character of its font, in pixels. */
export function useMeasure(place: RefObject<HTMLElement | null>, probe: RefObject<HTMLElement | null>): Measure {
  const [measure, setMeasure] = useState<Measure>({ height: 600, width: 1000, character: 7.2 });
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const look = () => {
      const width = (probe.current?.getBoundingClientRect().width ?? 720) / 100;
      setMeasure((before) =>
        before.height === element.clientHeight && before.width === element.clientWidth && before.character === width
          ? before
          : { height: element.clientHeight, width: element.clientWidth, character: width || 7.2 },
      );
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [place, probe]);
  return measure;
}

const LOWEST = 340;
/** What is kept free below: the line that tells the state, and some air. */
const BELOW = 56;

/** The height that fills the window below where the element begins, in pixels. */
export function useFill(place: RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(LOWEST);
  useLayoutEffect(() => {
    const look = () => {
      const top = (place.current?.getBoundingClientRect().top ?? 0) + window.scrollY;
      setHeight(Math.max(LOWEST, window.innerHeight - top - BELOW));
    };
    look();
    addEventListener('resize', look);
    // What is above may come later, or go.
    const observer = new ResizeObserver(look);
    const above = place.current?.closest('main');
    if (above) observer.observe(above);
    return () => {
      removeEventListener('resize', look);
      observer.disconnect();
    };
  }, [place]);
  return height;
}
