/** The edges of a large graph, and its nodes while they are too small to read, painted: thousands of elements are slow. */
import { useStore } from '@xyflow/react';
import { useContext, useEffect, useMemo, useRef, useState } from 'react';
import type { Structure } from '@/api/schema';
import { useScheme } from '../grid/useScheme';
import classes from './Graph.module.css';
import { type Picture, coloursNow, paintBoxes, paintLines, pictureOf, statesOf } from './painting';
import { StatesContext } from './states';
import type { Arranged } from './useArranged';

export function usePicture(arranged: Arranged, structure: Structure) {
  return useMemo(
    () => pictureOf(arranged, (ats) => ats.map((at) => structure.tasks[at]!.task_id)),
    [arranged, structure],
  );
}

/** A number that changes with the states, at most once a frame. */
function useStatesVersion(): number {
  const states = useContext(StatesContext);
  const [version, setVersion] = useState(0);
  useEffect(() => {
    let frame = 0;
    const end = states.subscribe(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => setVersion((before) => before + 1));
    });
    return () => {
      cancelAnimationFrame(frame);
      end();
    };
  }, [states]);
  return version;
}

/** What state each node of a picture is in, and the colours to paint it in. */
export function useLooks(picture: Picture) {
  const states = useContext(StatesContext);
  const version = useStatesVersion();
  const shown = useMemo(() => statesOf(picture, states), [picture, states, version]);
  const scheme = useScheme();
  const colours = useMemo(coloursNow, [scheme]);
  return { shown, colours };
}

export function Overview({
  picture,
  selected,
  readable,
}: {
  picture: Picture;
  selected: string | null;
  readable: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { shown, colours } = useLooks(picture);
  const [x, y, zoom] = useStore((state) => state.transform);
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  useEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!pen) return;
    const scale = devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const view = { x, y, zoom, width, height };
    if (zoom >= readable) return paintLines(pen, picture, colours, view, selected);
    paintBoxes(pen, picture, shown, true, colours, view);
    paintLines(pen, picture, colours, view, selected);
    paintBoxes(pen, picture, shown, false, colours, view);
  }, [picture, shown, selected, readable, colours, x, y, zoom, width, height]);
  const scale = devicePixelRatio || 1;
  return (
    <canvas
      ref={canvas}
      className={classes.overview}
      aria-hidden
      width={width * scale}
      height={height * scale}
      style={{ width, height }}
    />
  );
}
