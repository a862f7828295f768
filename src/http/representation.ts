import { allocateBriefBytes, briefCopyOf, isUtf8 } from '../domain/secret_bytes.js';
import type { Representation } from './accept.js';

/**
 * The body of a secret's answer, in a Buffer of its own, to be filled with zeros once it is sent. The value never
 * becomes a string: it is escaped, or turned into base64, from Buffer to Buffer.
 */
export function represent(name: string, value: Buffer, representation: Representation): { type: string; body: Buffer } {
  switch (representation) {
    case 'application/json':
      return { type: 'application/json; charset=utf-8', body: toJson(name, value) };
    case 'text/plain':
      return { type: isUtf8(value) ? 'text/plain; charset=utf-8' : 'text/plain', body: briefCopyOf(value) };
    case 'application/octet-stream':
      return { type: 'application/octet-stream', body: briefCopyOf(value) };
  }
}

/** `{"name":"…","value":"…"}`; a value that is not UTF-8 as base64, with `"encoding":"base64"`. A name is an identifier. */
function toJson(name: string, value: Buffer): Buffer {
  const head = `{"name":"${name}","value":"`;
  if (isUtf8(value)) return assemble(head, escapedLength(value), (body, at) => escapeInto(body, at, value), '"}');
  const length = Math.ceil(value.length / 3) * 4;
  return assemble(head, length, (body, at) => base64Into(body, at, value), '","encoding":"base64"}');
}

function assemble(head: string, length: number, write: (body: Buffer, at: number) => void, tail: string): Buffer {
  const body = allocateBriefBytes(head.length + length + tail.length);
  writeAscii(body, 0, head);
  write(body, head.length);
  writeAscii(body, head.length + length, tail);
  return body;
}

/** A few characters: to call what writes many takes longer. */
function writeAscii(body: Buffer, start: number, text: string): void {
  for (let at = 0; at < text.length; at += 1) body[start + at] = text.charCodeAt(at);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map(
  Array.from('"\\\b\f\n\r\t', (character, index) => [character.charCodeAt(0), '"\\bfnrt'.charCodeAt(index)]),
);
const HEX = Buffer.from('0123456789abcdef');

function escapedLength(value: Buffer): number {
  let length = value.length;
  let from = 0;
  while (from < value.length) {
    const byte = value[from++] as number;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) continue;
    length += SHORT_ESCAPES.has(byte) ? 1 : 5;
  }
  return length;
}

/** Of UTF-8 text only these bytes need escaping: the rest stands in JSON as it is. */
function escapeInto(body: Buffer, start: number, value: Buffer): void {
  let at = start;
  let from = 0;
  while (from < value.length) {
    const byte = value[from++] as number;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      body[at++] = byte;
      continue;
    }
    body[at++] = BACKSLASH;
    const short = SHORT_ESCAPES.get(byte);
    if (short !== undefined) {
      body[at++] = short;
      continue;
    }
    at += body.write('u00', at, 'latin1');
    body[at++] = HEX[byte >> 4] as number;
    body[at++] = HEX[byte & 15] as number;
  }
}

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;

function base64Into(body: Buffer, start: number, value: Buffer): void {
  let at = start;
  for (let from = 0; from < value.length; from += 3) {
    const left = value.length - from;
    const bits = ((value[from] as number) << 16) | ((value[from + 1] ?? 0) << 8) | (value[from + 2] ?? 0);
    body[at++] = BASE64[bits >> 18] as number;
    body[at++] = BASE64[(bits >> 12) & 63] as number;
    body[at++] = left > 1 ? (BASE64[(bits >> 6) & 63] as number) : PADDING;
    body[at++] = left > 2 ? (BASE64[bits & 63] as number) : PADDING;
  }
}
