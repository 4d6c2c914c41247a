/** Runs the layered layout apart from the page. */
import { type Box, type Direction, type Link, layered } from './layered';

export type Task = { boxes: Box[]; links: Link[]; direction: Direction };

self.onmessage = ({ data }: MessageEvent<Task>) => self.postMessage(layered(data.boxes, data.links, data.direction));
