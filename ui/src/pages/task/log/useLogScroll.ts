import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from 'react';
import type { Layout } from './layout';
import { type Scale, inLog, ofBar } from './scale';

/** The height of a row, in pixels. */
export const ROW = 20;

type Given = {
  place: RefObject<HTMLElement | null>;
  layout: Layout;
  scale: Scale;
  /** Whether new lines come: reaching the end then is following them. */
  live: boolean;
  fromEnd: boolean;
};

/**
 * Where in a log the reader is. They are at its end, until they scroll away from it; then the line at the top stays where
 * it is, whatever comes, is folded, filtered or wrapped.
 */
export function useLogScroll({ place, layout, scale, live, fromEnd }: Given) {
  const [follow, setFollow] = useState(fromEnd);
  const [scrollTop, setScrollTop] = useState(0);
  const [wanted, setWanted] = useState<number | null>(null);
  const lastTop = useRef(0);
  const anchor = useRef({ index: 0, offset: 0 });

  const hold = (top: number) => {
    const seen = inLog(scale, top);
    const at = layout.atRow(Math.floor(seen / ROW));
    anchor.current = { index: layout.lines[at] ?? 0, offset: seen - layout.startOf(at) * ROW };
  };
  const arrive = (top: number) => {
    lastTop.current = top;
    setScrollTop(top);
  };

  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    if (follow) element.scrollTop = element.scrollHeight;
    else if (wanted === null) {
      const { index, offset } = anchor.current;
      const top = ofBar(scale, layout.startOf(layout.placeOf(index)) * ROW + offset);
      if (Math.abs(element.scrollTop - top) >= 1) element.scrollTop = top;
    }
    arrive(element.scrollTop);
  }, [follow, layout, scale.view]);

  useLayoutEffect(() => {
    const element = place.current;
    if (wanted === null || !element) return;
    const row = layout.startOf(layout.placeOf(wanted)) * ROW;
    const seen = inLog(scale, element.scrollTop);
    if (row < seen || row > seen + scale.view - 2 * ROW) {
      element.scrollTop = ofBar(scale, row - scale.view / 3);
      hold(element.scrollTop);
      arrive(element.scrollTop);
    }
    setWanted(null);
  }, [wanted, layout]);

  const onScroll = () => {
    const element = place.current;
    if (!element) return;
    const top = element.scrollTop;
    const atEnd = top + element.clientHeight >= element.scrollHeight - 2 * ROW;
    if (follow && !atEnd && top < lastTop.current) setFollow(false);
    else if (!follow && atEnd && live && top > lastTop.current) setFollow(true);
    if (Math.abs(top - lastTop.current) >= 1) hold(top);
    arrive(top);
  };
  /** Brings a line into view, as soon as it is laid out. */
  const goTo = useCallback((index: number) => {
    setFollow(false);
    setWanted(index);
  }, []);
  return { follow, setFollow, top: Math.min(scrollTop, Math.max(0, scale.space - scale.view)), onScroll, goTo };
}
