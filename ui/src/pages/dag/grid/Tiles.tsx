/** The cells that are seen, as canvases of some rows and columns each. */
import { memo, useEffect, useLayoutEffect, useRef } from 'react';
import type { Board, Effect } from './board';
import classes from './Matrix.module.css';
import { CELL, type Palette, paintCell } from './paint';
import type { Row } from './rows';
import type { Painter } from './useGrid';
import type { Span } from './useWindow';

export const TILE = { columns: 24, rows: 20 };

type Props = {
  board: Board;
  rows: readonly Row[];
  palette: Palette;
  painters: Set<Painter>;
  columns: Span;
  visibleRows: Span;
  count: number;
};

/** count: of columns. columns: the span that is seen, from the oldest on. */
export const Tiles = memo(function Tiles({ columns, visibleRows, count, ...rest }: Props) {
  const tiles = [];
  for (let down = Math.floor(visibleRows.first / TILE.rows); down * TILE.rows <= visibleRows.last; down += 1) {
    for (let across = Math.floor(columns.first / TILE.columns); across * TILE.columns <= columns.last; across += 1) {
      tiles.push(
        <Tile key={`${down} ${across}`} top={down * TILE.rows} left={across * TILE.columns} count={count} {...rest} />,
      );
    }
  }
  return tiles;
});

type TileProps = Omit<Props, 'columns' | 'visibleRows'> & { top: number; left: number };

const Tile = memo(function Tile({ board, rows, palette, painters, top, left, count }: TileProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = Math.min(TILE.columns, count - left);
  const height = Math.min(TILE.rows, rows.length - top);
  useLayoutEffect(() => {
    const pen = canvas.current?.getContext('2d');
    if (!pen) return;
    pen.setTransform(palette.scale, 0, 0, palette.scale, 0, 0);
    for (let across = 0; across < width; across += 1) {
      const column = board.columns[count - 1 - left - across];
      for (let down = 0; column && down < height; down += 1) {
        paintCell(pen, palette, board, column, rows[top + down]!, across * CELL.width, down * CELL.height);
      }
    }
  }, [board, rows, palette, top, left, width, height, count]);

  useEffect(() => {
    const paint = (effect: Effect) => {
      const pen = canvas.current?.getContext('2d');
      // A new column moves all others: then the whole tile is painted when React has the new count.
      if (!pen || effect.cells.size === 0 || board.columns.length !== count) return;
      for (let across = 0; across < width; across += 1) {
        const column = board.columns[count - 1 - left - across];
        const cells = column && effect.cells.get(column.run.id);
        if (!cells) continue;
        for (let down = 0; down < height; down += 1) {
          const row = rows[top + down]!;
          if (row.tasks.some((at) => cells.has(at)))
            paintCell(pen, palette, board, column, row, across * CELL.width, down * CELL.height);
        }
      }
    };
    painters.add(paint);
    return () => void painters.delete(paint);
  }, [board, rows, palette, painters, top, left, width, height, count]);

  if (width <= 0 || height <= 0) return null;
  const size = { width: width * CELL.width, height: height * CELL.height };
  return (
    <canvas
      ref={canvas}
      aria-hidden
      className={classes.tile}
      width={size.width * palette.scale}
      height={size.height * palette.scale}
      style={{ ...size, left: left * CELL.width, top: top * CELL.height }}
    />
  );
});
