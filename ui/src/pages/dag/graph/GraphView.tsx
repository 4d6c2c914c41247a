/** A graph that can be moved, searched and folded; what is chosen in it is told by a panel beside it. */
import '@xyflow/react/dist/base.css';
import { ActionIcon, Button, SegmentedControl, Select } from '@mantine/core';
import {
  Background,
  BackgroundVariant,
  MarkerType,
  ReactFlow,
  ReactFlowProvider,
  getViewportForBounds,
  useReactFlow,
  useStore,
} from '@xyflow/react';
import { IconFocusCentered, IconMinus, IconPlus } from '@tabler/icons-react';
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Structure } from '@/api/schema';
import { Pending } from '@/components/Pending';
import { useUrlState } from '@/routing/router';
import { t } from '@/texts';
import type { Counts } from '../grid/board';
import { useFill } from '../useFill';
import { useFolded } from '../useFolded';
import classes from './Graph.module.css';
import { Panel } from './Panel';
import { GraphMap } from './GraphMap';
import { Overview, usePicture } from './Overview';
import { type FlowEdge, edgeTypes } from './edges';
import { type FlowNode, FoldContext, nodeTypes } from './nodes';
import { GraphStates, StatesContext } from './states';
import { type Picture, boundsOf } from './painting';
import { type Arranged, useArranged } from './useArranged';
import { chainOf, foldedAtFirst, nodeOfGroup, nodeOfTask } from './visible';

type Props = {
  dagId: string;
  structure: Structure;
  runId: string | null;
  counts: (taskId: string) => Counts | null;
  controls?: ReactNode;
};

/** Above this many nodes only those near what is seen are elements, and edges and small nodes are painted (Overview). */
const MANY = 300;
const READABLE = 0.55;
const LEAST_ZOOM = 0.01;
const BEGIN_ZOOM = 0.75;
const MARGIN = 28;

export function GraphView({ dagId, structure, runId, counts, controls }: Props) {
  const [url, setUrl] = useUrlState();
  const direction = url.get('direction') === 'down' ? 'down' : 'right';
  const first = useMemo(() => foldedAtFirst(structure), [structure]);
  const [folded, fold, setFolded] = useFolded(first);
  const frame = useRef<HTMLDivElement>(null);
  const fill = useFill(frame, 420);
  const { arranged, waiting, error } = useArranged(structure, folded, direction);
  const selected = url.get('task')
    ? nodeOfTask(url.get('task')!)
    : url.get('group')
      ? nodeOfGroup(url.get('group')!)
      : null;
  const states = useMemo(() => new GraphStates(), []);
  useEffect(() => states.set(counts), [states, counts]);

  const groups = useMemo(() => new Map(structure.groups.map((group) => [group.group_id, group])), [structure]);
  const choose = useCallback(
    (taskId: string | null) => {
      setUrl({ task: taskId, group: null });
      const task = structure.tasks.find((each) => each.task_id === taskId);
      const hides = chainOf(task?.group, groups).filter((group) => folded.has(group.group_id));
      if (hides.length > 0) setFolded([...folded].filter((id) => !hides.some((group) => group.group_id === id)));
    },
    [setUrl, structure, groups, folded, setFolded],
  );
  const names = useMemo(() => structure.tasks.map((task) => task.task_id), [structure]);

  return (
    <StatesContext value={states}>
      <FoldContext value={fold}>
        <div className={classes.bar}>
          {controls}
          <Select
            aria-label={t('dag.graph.search')}
            placeholder={t('dag.graph.search')}
            data-page-search
            searchable
            clearable
            w={220}
            limit={40}
            data={names}
            value={url.get('task')}
            onChange={choose}
            nothingFoundMessage={t('dag.graph.noTask')}
          />
          <SegmentedControl
            aria-label={t('dag.graph.direction')}
            value={direction}
            onChange={(value) => setUrl({ direction: value === 'down' ? 'down' : null })}
            data={[
              { value: 'right', label: t('dag.graph.right') },
              { value: 'down', label: t('dag.graph.down') },
            ]}
          />
          {structure.groups.length > 0 && (
            <Button variant="default" onClick={() => setFolded(folded.size > 0 ? [] : groups.keys())}>
              {folded.size > 0 ? t('dag.groups.open') : t('dag.groups.fold')}
            </Button>
          )}
        </div>
        <div ref={frame} style={{ height: fill.maxHeight }} className={classes.frame} aria-busy={waiting > 0}>
          {error ? (
            <Pending error={error} />
          ) : (
            arranged && (
              // A new arrangement is a new flow: it begins with its own view, and makes no element for what that does not show.
              <ReactFlowProvider key={arranged.number}>
                <Flow
                  arranged={arranged}
                  structure={structure}
                  selected={selected}
                  size={{ width: frame.current?.clientWidth ?? 900, height: frame.current?.clientHeight ?? 600 }}
                />
              </ReactFlowProvider>
            )
          )}
          {waiting > 0 && !error && (
            <div className={classes.waiting} role="status">
              <Pending />
              {t('dag.graph.arranging', { count: waiting })}
            </div>
          )}
          {selected && (
            <Panel
              dagId={dagId}
              runId={runId}
              structure={structure}
              selected={selected}
              onChoose={choose}
              onClose={() => setUrl({ task: null, group: null })}
            />
          )}
        </div>
      </FoldContext>
    </StatesContext>
  );
}

/** only: nodes to make, of a graph that has too many; null: all. */
function flowNodes(
  { graph, layout, direction }: Arranged,
  structure: Structure,
  selected: string | null,
  only: ReadonlySet<string> | null,
): FlowNode[] {
  const nodes = only ? graph.nodes.filter((node) => only.has(node.id)) : graph.nodes;
  return nodes.map((node) => {
    const place = layout.places[node.id] ?? { x: 0, y: 0, width: 100, height: 40 };
    return {
      id: node.id,
      type: node.kind,
      position: { x: place.x, y: place.y },
      width: place.width,
      height: place.height,
      ...(node.parent === null ? {} : { parentId: node.parent }),
      data: {
        node,
        taskIds: node.tasks.map((at) => structure.tasks[at]!.task_id),
        down: direction === 'down',
        found: node.id === selected,
      },
      selected: node.id === selected,
      draggable: false,
      connectable: false,
      zIndex: node.kind === 'open' ? 0 : 2,
      ariaLabel: node.group ? t('dag.group', { group: node.label }) : node.label,
    };
  });
}

function flowEdges({ graph, layout }: Arranged, selected: string | null): FlowEdge[] {
  return graph.edges.map((edge) => {
    const near = selected !== null && (edge.source === selected || edge.target === selected);
    return {
      id: edge.id,
      source: edge.source,
      target: edge.target,
      type: 'routed',
      label: edge.label ?? undefined,
      className: near ? classes.near! : classes.edge!,
      zIndex: near ? 3 : 1,
      focusable: false,
      data: { points: layout.routes[edge.id] ?? null, labelAt: layout.labels[edge.id] ?? null },
      markerEnd: {
        type: MarkerType.ArrowClosed,
        width: 14,
        height: 14,
        color: near ? 'var(--accent-text)' : 'var(--edge)',
      },
    };
  });
}

type FlowProps = {
  arranged: Arranged;
  structure: Structure;
  selected: string | null;
  size: { width: number; height: number };
};

function Flow({ arranged, structure, selected, size }: FlowProps) {
  const [, setUrl] = useUrlState();
  const flow = useReactFlow();
  const picture = usePicture(arranged, structure);
  const many = arranged.graph.nodes.length > MANY;
  const only = useNear(many ? picture : null, arranged);
  const nodes = useMemo(() => flowNodes(arranged, structure, selected, only), [arranged, structure, selected, only]);
  const edges = useMemo(() => (many ? NO_EDGES : flowEdges(arranged, selected)), [arranged, selected, many]);
  const whole = useCallback(
    () => getViewportForBounds(boundsOf(arranged), size.width, size.height, LEAST_ZOOM, 1, 0.06),
    [arranged, size.width, size.height],
  );
  // At first a graph that is too wide to be read as a whole shows its beginning, readably.
  const [first] = useState(() => {
    const all = whole();
    if (many || all.zoom >= READABLE + 0.05) return all;
    const bounds = boundsOf(arranged);
    const place = (from: number, length: number, room: number) =>
      length * BEGIN_ZOOM <= room - 2 * MARGIN
        ? (room - length * BEGIN_ZOOM) / 2 - from * BEGIN_ZOOM
        : MARGIN - from * BEGIN_ZOOM;
    return {
      x: place(bounds.x, bounds.width, size.width),
      y: place(bounds.y, bounds.height, size.height),
      zoom: BEGIN_ZOOM,
    };
  });
  const [begun, setBegun] = useState(false);
  const moved = useRef(false);

  // What is chosen is brought into view.
  useEffect(() => {
    if (!begun) return;
    const target = picture.boxes.find((box) => box.id === selected);
    if (target) {
      const zoom = Math.min(1, Math.max(0.75, flow.getZoom()));
      void flow.setCenter(target.x + target.width / 2, target.y + Math.min(target.height, 300) / 2, {
        zoom,
        duration: moved.current ? 250 : 0,
      });
    }
    moved.current = true;
  }, [begun, picture, selected, flow]);

  return (
    <ReactFlow<FlowNode, FlowEdge>
      className={classes.flow}
      nodes={nodes}
      edges={edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      defaultViewport={first}
      onInit={() => setBegun(true)}
      onNodeClick={(_, { data: { node } }) =>
        setUrl(node.task ? { task: node.task.task_id, group: null } : { group: node.group!.group_id, task: null })
      }
      onPaneClick={() => setUrl({ task: null, group: null })}
      onlyRenderVisibleElements
      nodesDraggable={false}
      nodesConnectable={false}
      elementsSelectable
      edgesFocusable={false}
      deleteKeyCode={null}
      minZoom={LEAST_ZOOM}
      maxZoom={2}
      aria-label={t('dag.graph.label')}
    >
      {many ? (
        <Overview picture={picture} selected={selected} readable={READABLE} />
      ) : (
        <Background variant={BackgroundVariant.Dots} gap={22} size={1.2} className={classes.dots} />
      )}
      <GraphMap arranged={arranged} picture={picture} />
      <div className={classes.zoom}>
        <ActionIcon
          variant="default"
          aria-label={t('dag.graph.zoomIn')}
          onClick={() => void flow.zoomIn({ duration: 120 })}
        >
          <IconPlus size={15} aria-hidden />
        </ActionIcon>
        <ActionIcon
          variant="default"
          aria-label={t('dag.graph.zoomOut')}
          onClick={() => void flow.zoomOut({ duration: 120 })}
        >
          <IconMinus size={15} aria-hidden />
        </ActionIcon>
        <ActionIcon
          variant="default"
          aria-label={t('dag.graph.fit')}
          onClick={() => void flow.setViewport(whole(), { duration: 200 })}
        >
          <IconFocusCentered size={15} aria-hidden />
        </ActionIcon>
      </div>
    </ReactFlow>
  );
}

const NO_EDGES: FlowEdge[] = [];
const NOTHING: ReadonlySet<string> = new Set();

/**
 * The nodes of a large graph that are seen or nearly so, with the groups that they are in; none while they are too small
 * to read. picture null: the graph is not large. It changes when one has moved by half of what is seen.
 */
function useNear(picture: Picture | null, { graph }: Arranged): ReadonlySet<string> | null {
  const spot = useStore(({ transform: [x, y, zoom], width, height }) => {
    if (picture === null || zoom < READABLE || width === 0) return '';
    const bucket = 2 ** Math.floor(Math.log2(zoom));
    const [stepX, stepY] = [width / bucket / 2, height / bucket / 2];
    return [Math.floor(-x / zoom / stepX), Math.floor(-y / zoom / stepY), stepX, stepY].join();
  });
  return useMemo(() => {
    if (picture === null) return null;
    if (spot === '') return NOTHING;
    const [column, row, stepX, stepY] = spot.split(',').map(Number) as [number, number, number, number];
    // What is seen is at most two steps of its bucket long: wherever it begins within the first, it ends within the third.
    const [left, top, right, bottom] = [column * stepX, row * stepY, (column + 3) * stepX, (row + 3) * stepY];
    const parents = new Map(graph.nodes.map((node) => [node.id, node.parent]));
    const near = new Set<string>();
    for (const box of picture.boxes) {
      if (box.x > right || box.y > bottom || box.x + box.width < left || box.y + box.height < top) continue;
      for (let id: string | null | undefined = box.id; id && !near.has(id); id = parents.get(id)) near.add(id);
    }
    return near;
  }, [picture, spot, graph]);
}
