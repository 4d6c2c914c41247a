/** How tasks, folded groups and open groups look in the graph. */
import { Handle, type Node, type NodeProps, Position } from '@xyflow/react';
import { IconChevronDown, IconChevronRight, IconStack2 } from '@tabler/icons-react';
import { createContext, memo, useContext } from 'react';
import { StateIcon } from '@/components/StateIcon';
import { STATE_ORDER, colourOf, wordOf } from '@/states/states';
import { t } from '@/texts';
import { type Counts, stateOf, worst } from '../grid/board';
import classes from './Graph.module.css';
import { useCounts } from './states';
import type { VisibleNode } from './visible';

export type NodeData = { node: VisibleNode; taskIds: readonly string[]; down: boolean; found: boolean };
export type FlowNode = Node<NodeData>;

/** Folds and opens groups. */
export const FoldContext = createContext<(group: string) => void>(() => {});

const Handles = ({ down }: { down: boolean }) => (
  <>
    <Handle
      type="target"
      position={down ? Position.Top : Position.Left}
      isConnectable={false}
      className={classes.handle}
    />
    <Handle
      type="source"
      position={down ? Position.Bottom : Position.Right}
      isConnectable={false}
      className={classes.handle}
    />
  </>
);

export function Shares({ counts }: { counts: Counts }) {
  return (
    <span className={classes.shares} aria-hidden>
      {STATE_ORDER.map((state) => {
        const count = counts[state] ?? 0;
        return count > 0 ? <span key={state} style={{ flexGrow: count, background: colourOf(state) }} /> : null;
      })}
    </span>
  );
}

const total = (counts: Counts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

const TaskView = memo(function TaskView({ data, selected }: NodeProps<FlowNode>) {
  const counts = useCounts(data.taskIds);
  const state = stateOf(worst(counts));
  const { node } = data;
  const several = total(counts) > 1;
  return (
    <div
      className={classes.task}
      data-selected={selected || undefined}
      data-found={data.found || undefined}
      style={
        state
          ? { borderLeftColor: colourOf(state), background: state === 'none' ? undefined : colourOf(state, 'soft') }
          : undefined
      }
    >
      <Handles down={data.down} />
      {state && <StateIcon state={state} size={16} />}
      <span className={classes.words}>
        <span className={classes.name}>{node.label}</span>
        <span className={classes.kind}>
          {node.task?.operator}
          {state && ` · ${wordOf(state)}`}
        </span>
      </span>
      {node.task?.mapped && (
        <span className={classes.mapped} title={t('dag.grid.mapped')}>
          <IconStack2 size={14} aria-hidden />
          {several && total(counts)}
        </span>
      )}
      {several && <Shares counts={counts} />}
    </div>
  );
});

function FoldButton({ node }: { node: VisibleNode }) {
  const fold = useContext(FoldContext);
  const folded = node.kind === 'folded';
  return (
    <button
      type="button"
      className={`nodrag nopan ${classes.fold}`}
      aria-expanded={!folded}
      aria-label={t(folded ? 'dag.group.open' : 'dag.group.fold', { group: node.label })}
      onClick={(event) => {
        event.stopPropagation();
        fold(node.group!.group_id);
      }}
    >
      {folded ? <IconChevronRight size={14} aria-hidden /> : <IconChevronDown size={14} aria-hidden />}
    </button>
  );
}

const FoldedView = memo(function FoldedView({ data, selected }: NodeProps<FlowNode>) {
  const counts = useCounts(data.taskIds);
  const state = stateOf(worst(counts));
  return (
    <div className={classes.folded} data-selected={selected || undefined} data-found={data.found || undefined}>
      <Handles down={data.down} />
      <FoldButton node={data.node} />
      <span className={classes.words}>
        <span className={classes.name}>{data.node.label}</span>
        <span className={classes.kind}>{t('dag.group.tasks', { count: data.taskIds.length })}</span>
      </span>
      {state && <StateIcon state={state} size={16} />}
      <Shares counts={counts} />
    </div>
  );
});

const OpenView = memo(function OpenView({ data, selected }: NodeProps<FlowNode>) {
  const counts = useCounts(data.taskIds);
  return (
    <div className={classes.open} data-selected={selected || undefined}>
      <Handles down={data.down} />
      <div className={classes.openHead}>
        <FoldButton node={data.node} />
        <span className={classes.name}>{data.node.label}</span>
        <span className={classes.openShares}>
          <Shares counts={counts} />
        </span>
      </div>
    </div>
  );
});

export const nodeTypes = { task: TaskView, folded: FoldedView, open: OpenView };
