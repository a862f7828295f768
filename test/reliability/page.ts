/** What a line of each kind of report holds. */
export interface FaultLine {
  readonly name: string;
  readonly asked: string;
  readonly answers: Tally;
  readonly next: string;
  readonly processes: number;
  readonly descriptors: number;
}

export interface FuzzLine {
  readonly seed: number;
  readonly cases: number;
  readonly seconds: number;
  readonly answers: Tally;
  readonly configurations: Tally;
}

export interface MemoryLine {
  readonly answers: number;
  readonly abandoned: number;
  readonly canaries: number;
  readonly bytes: number;
}

export interface SoakLine {
  readonly minutes: number;
  readonly requests: number;
  readonly answers: Tally;
  readonly rows: readonly {
    readonly minute: number;
    readonly requests: number;
    readonly residentBytes: number;
    readonly descriptors: number;
    readonly processes: number;
  }[];
}

export type Tally = Readonly<Record<string, number>>;

export interface Measured {
  /** What it was measured on, by what it is called. */
  readonly setting: Readonly<Record<string, string>>;
  readonly faults: readonly FaultLine[];
  readonly fuzz: FuzzLine;
  readonly memory: MemoryLine;
  readonly soak: SoakLine;
}

/** docs/reliability.md. */
export function reliabilityPage({ setting, faults, fuzz, memory, soak }: Measured): string {
  return `# Reliability

What the daemon does when things go wrong around it. \`npm run docs:reliability\` runs what is described here and writes
this page: nothing on it is written by hand. The faults, the fuzzing and a short soak are part of CI.

${table(['measured on', ''], Object.entries(setting))}

## Faults

\`npm run test:faults\` starts the daemon as it is installed, with real sockets, and brings each fault about. gopass and gpg
are the real ones where they can show the fault, and scripts in their place elsewhere. Afterwards a request for a good
secret has to succeed, no process that the daemon had started may be left, and no more descriptors may be open than before.

${table(
  [
    'fault',
    'what is wrong, and what is asked',
    'what came back',
    'next good request',
    'processes left',
    'descriptors left',
  ],
  faults.map(({ name, asked, answers, next, processes, descriptors }) => [
    name,
    asked,
    tell(answers),
    next,
    String(processes),
    String(descriptors),
  ]),
)}

A status is followed by the code of the problem. \`closed\` is a connection that ends without an answer, \`refused\` one that
is not made, \`not sent\` a request on one that has ended before, and \`cut off\` an answer that its caller does not take
within 30 s.

## Fuzzing

\`npm run test:fuzz\` makes up configuration files, names, methods and paths, headers, and raw bytes on the socket. Whatever
comes, the daemon does not end, gives no \`internal_error\`, gives the value of a denied name to nobody, and answers with
a status, a code and headers that the README lists. \`MXM_FUZZ_SEED\` repeats a run, \`MXM_FUZZ_CASES\` sets its length.

${table(
  ['seed', 'cases', 'seconds', 'answers', 'configurations'],
  [[String(fuzz.seed), String(fuzz.cases), String(fuzz.seconds), tell(fuzz.answers), tell(fuzz.configurations)]],
)}

## Memory

\`test/memory.test.ts\` ([how to run it](../CONTRIBUTING.md)) asks for values that hold a canary: as JSON and as bytes, small
and large, whole entries and fields of lines, of failing calls, and by callers that leave. Then it looks for the canary, as it
is, as two-byte text and as base64, in all of the memory of the daemon while that runs on. A second test shows that the search
finds a canary where there is one.

${table(
  ['answers', 'abandoned calls and answers', 'memory searched', 'canaries found'],
  [[String(memory.answers), String(memory.abandoned), `${Math.round(memory.bytes / 1e6)} MB`, String(memory.canaries)]],
)}

## Soak

\`npm run soak -- --minutes ${soak.minutes}\` asks the real daemon everything that there is to ask, while backends hang, crash
and print too much, callers leave, gpg-agent is killed, the audit file is rotated and the configuration is broken and mended.
It fails on an answer that must not be, on what is left behind, and on growth: the median of the last third of the time is
more than that of the second third and a slack (resident memory 15 % and 16 MiB, descriptors 10 % and 16, processes
10 % and 8). The first third is for warming up.

${table(
  ['minute', 'requests', 'resident memory', 'descriptors', 'processes'],
  soak.rows.map(({ minute, requests, residentBytes, descriptors, processes }) => [
    minute.toFixed(2),
    String(requests),
    `${Math.round(residentBytes / 1024 / 1024)} MiB`,
    String(descriptors),
    String(processes),
  ]),
)}

${soak.requests} requests in ${soak.minutes} minutes: ${tell(soak.answers)}.
`;
}

function tell(tally: Tally): string {
  return Object.entries(tally)
    .map(([what, count]) => `${what} × ${count}`)
    .join(', ');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
