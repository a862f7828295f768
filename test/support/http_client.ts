import { type IncomingHttpHeaders, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The parsed body; undefined when it is no JSON. */
  readonly json: Record<string, unknown>;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** One request over a Unix socket, on a connection of its own. */
export function ask(socketPath: string, path: string, question: Question = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, signal } = question;
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, headers, agent: false, ...(signal && { signal }) });
    asked.once('error', reject);
    asked.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes, text, json: parse(text) });
      });
    });
    asked.end(body);
  });
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
