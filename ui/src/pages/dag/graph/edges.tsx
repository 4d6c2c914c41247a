/** Edges of the graph: along the points that the layout gave, or as a curve. */
import { BaseEdge, type Edge, type EdgeProps, getBezierPath } from '@xyflow/react';
import { memo } from 'react';

export type FlowEdge = Edge<{ points: { x: number; y: number }[] | null; labelAt: { x: number; y: number } | null }>;

const ROUND = 8;

/** A path through points with rounded corners. */
function roundedPath(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let path = `M${first.x} ${first.y}`;
  rest.forEach((point, at) => {
    const before = points[at]!;
    const after = points[at + 2];
    if (!after) {
      path += `L${point.x} ${point.y}`;
      return;
    }
    const towards = (other: { x: number; y: number }) => {
      const length = Math.hypot(other.x - point.x, other.y - point.y) || 1;
      const share = Math.min(ROUND, length / 2) / length;
      return `${point.x + (other.x - point.x) * share} ${point.y + (other.y - point.y) * share}`;
    };
    path += `L${towards(before)}Q${point.x} ${point.y} ${towards(after)}`;
  });
  return path;
}

const RoutedEdge = memo(function RoutedEdge(props: EdgeProps<FlowEdge>) {
  const points = props.data?.points;
  const [curve, curveX, curveY] = getBezierPath(props);
  return (
    <BaseEdge
      id={props.id}
      path={points ? roundedPath(points) : curve}
      labelX={props.data?.labelAt?.x ?? curveX}
      labelY={props.data?.labelAt?.y ?? curveY}
      label={props.label}
      labelBgPadding={[5, 2]}
      labelBgBorderRadius={4}
      {...(props.markerEnd ? { markerEnd: props.markerEnd } : {})}
      {...(props.style ? { style: props.style } : {})}
    />
  );
});

export const edgeTypes = { routed: RoutedEdge };
