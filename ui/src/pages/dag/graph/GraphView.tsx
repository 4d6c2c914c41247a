/** A graph that can be moved, searched and folded; what is chosen in it is told by a panel beside it. */
import '@xyflow/react/dist/base.css';
import { ActionIcon, Button, SegmentedControl, Select } from '@mantine/core';
import { Background, BackgroundVariant, MarkerType, ReactFlow, ReactFlowProvider, useReactFlow, useStore } from '@xyflow/react';
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
import { Overview } from './Overview';
import { type FlowEdge, edgeTypes } from './edges';
import { type FlowNode, FoldContext, nodeTypes } from './nodes';
import { GraphStates, StatesContext } from './states';
import { type Arranged, useArranged } from './useArranged';
import { chainOf, foldedAtFirst, nodeOfGroup, nodeOfTask } from './visible';

type Props = { dagId: string; structure: Structure; runId: string | null; counts: (taskId: string) => Counts | null; controls?: ReactNode };

/** Above this many nodes, those that are too small to read are painted instead (Overview). */
const MANY = 300;
const READABLE = 0.32;

export function GraphView(props: Props) {
  return (
    <ReactFlowProvider>
      <View {...props} />
    </ReactFlowProvider>
  );
}

function View({ dagId, structure, runId, counts, controls }: Props) {
  const [url, setUrl] = useUrlState();
  const direction = url.get('direction') === 'down' ? 'down' : 'right';
  const first = useMemo(() => foldedAtFirst(structure), [structure]);
  const [folded, fold, setFolded] = useFolded(first);
  const frame = useRef<HTMLDivElement>(null);
  const fill = useFill(frame, 420);
  const { arranged, waiting, error } = useArranged(structure, folded, direction);
  const selected = url.get('task') ? nodeOfTask(url.get('task')!) : url.get('group') ? nodeOfGroup(url.get('group')!) : null;
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
            data={[{ value: 'right', label: t('dag.graph.right') }, { value: 'down', label: t('dag.graph.down') }]}
          />
          {structure.groups.length > 0 && (
            <Button variant="default" onClick={() => setFolded(folded.size > 0 ? [] : groups.keys())}>
              {folded.size > 0 ? t('dag.groups.open') : t('dag.groups.fold')}
            </Button>
          )}
        </div>
        <div ref={frame} style={{ height: fill.maxHeight }} className={classes.frame} aria-busy={waiting > 0}>
          {error ? <Pending error={error} /> : arranged && <Flow arranged={arranged} structure={structure} selected={selected} />}
          {waiting > 0 && !error && (
            <div className={classes.waiting} role="status">
              <Pending />
              {t('dag.graph.arranging', { count: waiting })}
            </div>
          )}
          {selected && (
            <Panel dagId={dagId} runId={runId} structure={structure} selected={selected} onChoose={choose} onClose={() => setUrl({ task: null, group: null })} />
          )}
        </div>
      </FoldContext>
    </StatesContext>
  );
}

function flowNodes({ graph, layout, direction }: Arranged, structure: Structure, selected: string | null): FlowNode[] {
  return graph.nodes.map((node) => {
    const place = layout.places[node.id] ?? { x: 0, y: 0, width: 100, height: 40 };
    return {
      id: node.id,
      type: node.kind,
      position: { x: place.x, y: place.y },
      width: place.width,
      height: place.height,
      ...(node.parent === null ? {} : { parentId: node.parent }),
      data: { node, taskIds: node.tasks.map((at) => structure.tasks[at]!.task_id), down: direction === 'down', found: node.id === selected },
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
      markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: near ? 'var(--accent-text)' : 'var(--edge)' },
    };
  });
}

function Flow({ arranged, structure, selected }: { arranged: Arranged; structure: Structure; selected: string | null }) {
  const [, setUrl] = useUrlState();
  const flow = useReactFlow();
  const many = arranged.graph.nodes.length > MANY;
  const small = useStore((state) => state.transform[2] < READABLE);
  const painted = many && small;
  const nodes = useMemo(() => flowNodes(arranged, structure, selected), [arranged, structure, selected]);
  const edges = useMemo(() => flowEdges(arranged, selected), [arranged, selected]);
  const [begun, setBegun] = useState(false);
  const shown = useRef<Arranged | null>(null);

  // What is chosen is brought into view; a new arrangement is seen whole, or as much of it as can be read.
  useEffect(() => {
    if (!begun) return;
    const target = selected !== null && arranged.layout.places[selected] ? [{ id: selected }] : undefined;
    const isNew = shown.current !== arranged;
    shown.current = arranged;
    if (target) void flow.fitView({ nodes: target, maxZoom: 1, minZoom: 0.7, duration: isNew ? 0 : 250 });
    else if (isNew) void flow.fitView({ maxZoom: 1, padding: 0.06 });
  }, [begun, arranged, selected, flow]);

  return (
    <ReactFlow<FlowNode, FlowEdge>
      className={classes.flow}
      nodes={painted ? NO_NODES : nodes}
      edges={painted ? NO_EDGES : edges}
      nodeTypes={nodeTypes}
      edgeTypes={edgeTypes}
      onInit={() => setBegun(true)}
      onNodeClick={(_, { data: { node } }) => setUrl(node.task ? { task: node.task.task_id, group: null } : { group: node.group!.group_id, task: null })}
      onPaneClick={() => setUrl({ task: null, group: null })}
      onlyRenderVisibleElements
      nodesDraggable={false}
      nodesConnectable={false}
      elementsSelectable
      edgesFocusable={false}
      deleteKeyCode={null}
      minZoom={0.01}
      maxZoom={2}
      panOnScroll={false}
      fitView={!many}
      aria-label={t('dag.graph.label')}
    >
      <Background variant={BackgroundVariant.Dots} gap={22} size={1.2} className={classes.dots} />
      {painted && <Overview arranged={arranged} structure={structure} />}
      <GraphMap arranged={arranged} structure={structure} />
      <div className={classes.zoom}>
        <ActionIcon variant="default" aria-label={t('dag.graph.zoomIn')} onClick={() => void flow.zoomIn({ duration: 120 })}>
          <IconPlus size={15} aria-hidden />
        </ActionIcon>
        <ActionIcon variant="default" aria-label={t('dag.graph.zoomOut')} onClick={() => void flow.zoomOut({ duration: 120 })}>
          <IconMinus size={15} aria-hidden />
        </ActionIcon>
        <ActionIcon variant="default" aria-label={t('dag.graph.fit')} onClick={() => fitAll(flow, arranged)}>
          <IconFocusCentered size={15} aria-hidden />
        </ActionIcon>
      </div>
    </ReactFlow>
  );
}

const NO_NODES: FlowNode[] = [];
const NO_EDGES: FlowEdge[] = [];

function fitAll(flow: ReturnType<typeof useReactFlow>, arranged: Arranged): void {
  void flow.fitBounds(boundsOf(arranged), { padding: 0.06, duration: 200 });
}

export function boundsOf({ graph, layout }: Arranged): { x: number; y: number; width: number; height: number } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const node of graph.nodes) {
    const place = layout.places[node.id];
    if (node.parent !== null || !place) continue;
    left = Math.min(left, place.x);
    top = Math.min(top, place.y);
    right = Math.max(right, place.x + place.width);
    bottom = Math.max(bottom, place.y + place.height);
  }
  return left > right ? { x: 0, y: 0, width: 1, height: 1 } : { x: left, y: top, width: right - left, height: bottom - top };
}
