import { readFile } from 'node:fs/promises';
import type { Sample } from './load.js';

/** Reads the file in this process, as a program would that may. */
export async function readAgain(file: string, ms: number): Promise<Sample> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const begun = performance.now();
  for (let now = begun; now - begun < ms;) {
    await readFile(file);
    const after = performance.now();
    latencies.push(after - now);
    now = after;
  }
  const { user, system } = process.cpuUsage(cpu);
  const wallMs = performance.now() - begun;
  return { wallMs, cpuMs: (user + system) / 1_000, latencies: Float64Array.from(latencies).sort() };
}
