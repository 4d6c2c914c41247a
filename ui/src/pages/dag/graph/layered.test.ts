import { describe, expect, it } from 'vitest';
import { type Box, type Layout, type Link, layered } from './layered';

const box = (id: string, parent: string | null = null, open = false): Box => ({
  id,
  parent,
  width: 100,
  height: 40,
  open,
});
const link = (source: string, target: string): Link => ({ id: `${source}>${target}`, source, target });

function overlaps(boxes: readonly Box[], { places }: Layout): string[] {
  const found: string[] = [];
  boxes.forEach((a, at) => {
    for (const b of boxes.slice(at + 1)) {
      if (a.parent !== b.parent) continue;
      const [p, q] = [places[a.id]!, places[b.id]!];
      if (p.x < q.x + q.width && q.x < p.x + p.width && p.y < q.y + q.height && q.y < p.y + p.height)
        found.push(`${a.id} ${b.id}`);
    }
  });
  return found;
}

describe('the layered layout', () => {
  it('puts each task after those that it waits for, in both directions', () => {
    const boxes = ['a', 'b', 'c', 'd'].map((id) => box(id));
    const links = [link('a', 'b'), link('a', 'c'), link('b', 'd'), link('c', 'd'), link('a', 'd')];
    for (const direction of ['right', 'down'] as const) {
      const layout = layered(boxes, links, direction);
      for (const { source, target } of links) {
        const [p, q] = [layout.places[source]!, layout.places[target]!];
        if (direction === 'right') expect(p.x + p.width).toBeLessThan(q.x);
        else expect(p.y + p.height).toBeLessThan(q.y);
      }
      expect(overlaps(boxes, layout)).toEqual([]);
    }
  });
  it('keeps a chain straight', () => {
    const layout = layered(
      ['a', 'b', 'c'].map((id) => box(id)),
      [link('a', 'b'), link('b', 'c')],
      'right',
    );
    expect(new Set(Object.values(layout.places).map((place) => place.y)).size).toBe(1);
  });
  it('uncrosses two lines', () => {
    const boxes = ['a', 'b', 'y', 'x'].map((id) => box(id));
    const { places } = layered(boxes, [link('a', 'x'), link('b', 'y')], 'right');
    expect(places.a!.y < places.b!.y).toBe(places.x!.y < places.y!.y);
  });
  it('holds what is in a group inside of it, and leaves room for its name', () => {
    const boxes = [box('g', null, true), box('a', 'g'), box('b', 'g'), box('c')];
    const { places } = layered(boxes, [link('a', 'b'), link('b', 'c')], 'right');
    for (const id of ['a', 'b']) {
      const place = places[id]!;
      expect(place.y).toBeGreaterThanOrEqual(30);
      expect(place.x + place.width).toBeLessThanOrEqual(places.g!.width);
      expect(place.y + place.height).toBeLessThanOrEqual(places.g!.height);
    }
    expect(places.c!.x).toBeGreaterThan(places.g!.x + places.g!.width);
  });
  it('lays out groups that wait for each other in a circle', () => {
    const boxes = [box('g', null, true), box('a', 'g'), box('c', 'g'), box('b')];
    const layout = layered(boxes, [link('a', 'b'), link('b', 'c')], 'right');
    expect(overlaps(boxes, layout)).toEqual([]);
    for (const place of Object.values(layout.places)) expect(Number.isFinite(place.x + place.y)).toBe(true);
  });
  it('puts tasks without any link into rows, not one endless line', () => {
    const boxes = Array.from({ length: 100 }, (_, at) => box(`t${at}`));
    const layout = layered(boxes, [], 'right');
    expect(overlaps(boxes, layout)).toEqual([]);
    expect(new Set(Object.values(layout.places).map((place) => place.x)).size).toBe(10);
  });
  it('places thousands without overlap', () => {
    const boxes = Array.from({ length: 5_000 }, (_, at) => box(`t${at}`));
    const links = boxes.flatMap((_, at) =>
      [1, 7].filter((step) => at % 50 >= step).map((step) => link(`t${at - step}`, `t${at}`)),
    );
    const { places } = layered(boxes, links, 'right');
    const columns = new Map<number, number[]>();
    for (const place of Object.values(places)) columns.set(place.x, [...(columns.get(place.x) ?? []), place.y]);
    for (const ys of columns.values()) {
      ys.sort((a, b) => a - b);
      ys.slice(1).forEach((y, at) => expect(y - ys[at]!).toBeGreaterThan(40));
    }
  });
});
