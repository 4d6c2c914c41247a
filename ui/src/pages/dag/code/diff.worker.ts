/** Compares two texts apart from the page. */
import { diffLines } from './diff';

self.onmessage = ({ data: [a, b] }: MessageEvent<[string[], string[]]>) => self.postMessage(diffLines(a, b));
