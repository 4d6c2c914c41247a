/** The small map in the corner: the whole graph, and what of it is seen. Painted, so that 5,000 tasks cost nothing. */
import { useReactFlow, useStore } from '@xyflow/react';
import { type PointerEvent, useEffect, useMemo, useRef } from 'react';
import classes from './Graph.module.css';
import { useLooks } from './Overview';
import { type Picture, boundsOf, paintBoxes } from './painting';
import type { Arranged } from './useArranged';

const SIZE = { width: 190, height: 120 };
const EDGE = 6;

export function GraphMap({ arranged, picture }: { arranged: Arranged; picture: Picture }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { shown, colours } = useLooks(picture);
  const flow = useReactFlow();
  const [viewX, viewY, viewZoom] = useStore((state) => state.transform);
  const viewWidth = useStore((state) => state.width);
  const viewHeight = useStore((state) => state.height);
  const bounds = useMemo(() => boundsOf(arranged), [arranged]);
  const zoom = Math.min((SIZE.width - 2 * EDGE) / bounds.width, (SIZE.height - 2 * EDGE) / bounds.height, 0.2);
  const x = (SIZE.width - bounds.width * zoom) / 2 - bounds.x * zoom;
  const y = (SIZE.height - bounds.height * zoom) / 2 - bounds.y * zoom;
  const scale = devicePixelRatio || 1;
  useEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!pen) return;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, SIZE.width, SIZE.height);
    const view = { x, y, zoom, ...SIZE };
    paintBoxes(pen, picture, shown, true, colours, view);
    paintBoxes(pen, picture, shown, false, colours, view);
  }, [picture, shown, colours, x, y, zoom, scale]);
  const move = (event: PointerEvent) => {
    if (event.buttons !== 1 && event.type !== 'pointerdown') return;
    const box = event.currentTarget.getBoundingClientRect();
    void flow.setCenter((event.clientX - box.left - x) / zoom, (event.clientY - box.top - y) / zoom, {
      zoom: viewZoom,
    });
  };
  const frame = {
    left: (-viewX / viewZoom) * zoom + x,
    top: (-viewY / viewZoom) * zoom + y,
    width: (viewWidth / viewZoom) * zoom,
    height: (viewHeight / viewZoom) * zoom,
  };
  return (
    <div className={classes.map} style={SIZE} aria-hidden onPointerDown={move} onPointerMove={move}>
      <canvas ref={canvas} width={SIZE.width * scale} height={SIZE.height * scale} style={SIZE} />
      <div className={classes.mapView} style={frame} />
    </div>
  );
}
