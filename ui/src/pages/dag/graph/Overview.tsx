/** All nodes of a large graph, painted while they are too small to read: elements for thousands would be slow. */
import { useReactFlow, useStore } from '@xyflow/react';
import { useContext, useEffect, useMemo, useRef, useState } from 'react';
import type { Structure } from '@/api/schema';
import { useScheme } from '../grid/useScheme';
import classes from './Graph.module.css';
import { coloursNow, paint, pictureOf } from './painting';
import { StatesContext } from './states';
import type { Arranged } from './useArranged';

/** What a click on the painting zooms to. */
const CLOSER = 0.8;

export function usePicture(arranged: Arranged, structure: Structure) {
  return useMemo(() => pictureOf(arranged, (ats) => ats.map((at) => structure.tasks[at]!.task_id)), [arranged, structure]);
}

/** A number that changes with the states, at most once a frame. */
export function useStatesVersion(): number {
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

export function Overview({ arranged, structure }: { arranged: Arranged; structure: Structure }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const picture = usePicture(arranged, structure);
  const states = useContext(StatesContext);
  const version = useStatesVersion();
  const scheme = useScheme();
  const colours = useMemo(coloursNow, [scheme]);
  const flow = useReactFlow();
  const [x, y, zoom] = useStore((state) => state.transform);
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  useEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!pen) return;
    const scale = devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    paint(pen, picture, states, colours, { x, y, zoom, width, height });
  }, [picture, states, version, colours, x, y, zoom, width, height]);
  const scale = devicePixelRatio || 1;
  return (
    <canvas
      ref={canvas}
      className={classes.overview}
      aria-hidden
      width={width * scale}
      height={height * scale}
      style={{ width, height }}
      onDoubleClick={(event) => {
        const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
        void flow.setCenter(at.x, at.y, { zoom: CLOSER, duration: 300 });
      }}
    />
  );
}
