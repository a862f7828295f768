import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The calls of Linux that Node does not have. None of them throws or waits. */
export interface Native {
  /** The bytes of an option of the socket itself; undefined where it has none. */
  socketOption(fd: number, option: number, size: number): Buffer | undefined;
  /** The address of the other end, without its family: empty, a path, or a zero byte and an abstract name. */
  peerName(fd: number): Buffer | undefined;
  /** The address of this end, likewise. */
  socketName(fd: number): Buffer | undefined;
  /** From now on the other end can send nothing more; what it has sent can be read. */
  shutDownReading(fd: number): void;
  /** No program that is started gets this descriptor. */
  closeOnExec(fd: number): boolean;
  /** Sends on a connected socket: the number of bytes taken, or the code of the error. */
  send(fd: number, bytes: Buffer): number | string;
  /** Sends a datagram to a Unix socket. `name` as in `peerName`. */
  sendDatagram(name: Buffer, bytes: Buffer): boolean;
  /** No core is written when this process, or one that it starts, dies. */
  forbidCores(): boolean;
  /** No other process of this user can read the memory of this one. */
  forbidReading(): boolean;
  /**
   * Takes the value of a variable, as its bytes stand in the environment block, and fills it there with zeros. The
   * Buffer is the receiver's.
   */
  takeVariable(name: string): Buffer | undefined;
}

const SOL_SOCKET = 1;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_RD = 0;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const RLIMIT_CORE = 4;
const PR_SET_DUMPABLE = 4;

/** What the address of a Unix socket takes: two bytes for the family, and the name. */
const ADDRESS_BYTES = 110;
const FAMILY_BYTES = 2;

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(name: string, result: string, parameters: readonly string[]): unknown };
  errno(): number;
  readonly os: { readonly errno: Readonly<Record<string, number>> };
}

type Call = (...parameters: unknown[]) => number;

/**
 * Null where there is none: on another system, another processor, or in an installation without it. These are
 * koffi's ready-made modules, one for each processor, without what would build it and without its install script.
 */
export function loadNative(
  load: (id: string) => unknown = createRequire(import.meta.url),
  { platform, arch }: { readonly platform: string; readonly arch: string } = process,
): Native | null {
  if (platform !== 'linux') return null;
  try {
    return wrap(load(`@koromix/koffi-linux-${arch}`) as Koffi);
  } catch {
    return null;
  }
}

/** Of this process; null where there is none. */
export const native = loadNative();

function wrap(koffi: Koffi): Native {
  const libc = koffi.load(null);
  const declare = (name: string, result: string, ...parameters: string[]): Call =>
    libc.func(name, result, parameters) as Call;
  const getsockopt = declare('getsockopt', 'int', 'int', 'int', 'int', 'void *', 'void *');
  const getpeername = declare('getpeername', 'int', 'int', 'void *', 'void *');
  const getsockname = declare('getsockname', 'int', 'int', 'void *', 'void *');
  const shutdown = declare('shutdown', 'int', 'int', 'int');
  const fcntl = declare('fcntl', 'int', 'int', 'int', 'int');
  const send = declare('send', 'long', 'int', 'void *', 'size_t', 'int');
  const socket = declare('socket', 'int', 'int', 'int', 'int');
  const sendto = declare('sendto', 'long', 'int', 'void *', 'size_t', 'int', 'void *', 'uint32_t');
  const setrlimit = declare('setrlimit', 'int', 'int', 'void *');
  const prctl = declare('prctl', 'int', 'int', 'ulong', 'ulong', 'ulong', 'ulong');
  const getenv = declare('getenv', 'void *', 'str') as unknown as (name: string) => bigint | null;
  const strlen = declare('strlen', 'size_t', 'void *');
  const memcpy = declare('memcpy', 'void *', 'void *', 'void *', 'size_t');
  const bzero = declare('explicit_bzero', 'void', 'void *', 'size_t');

  // Of the calls that each connection makes: nothing else runs while one is made.
  const address = Buffer.alloc(ADDRESS_BYTES);
  const length = Buffer.alloc(4);

  function nameBy(call: Call, fd: number): Buffer | undefined {
    length.writeUInt32LE(ADDRESS_BYTES);
    if (call(fd, address, length) !== 0 || address.readUInt16LE(0) !== AF_UNIX) return undefined;
    return Buffer.from(address.subarray(FAMILY_BYTES, length.readUInt32LE(0)));
  }

  function errorCode(): string {
    const number = koffi.errno();
    return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? String(number);
  }

  return {
    socketOption(fd, option, size) {
      const value = Buffer.alloc(size);
      length.writeUInt32LE(size);
      if (getsockopt(fd, SOL_SOCKET, option, value, length) === 0) return value.subarray(0, length.readUInt32LE(0));
      const needed = length.readUInt32LE(0); // the kernel says it where the room was too small
      return needed > size ? this.socketOption(fd, option, needed) : undefined;
    },
    peerName: (fd) => nameBy(getpeername, fd),
    socketName: (fd) => nameBy(getsockname, fd),
    shutDownReading: (fd) => void shutdown(fd, SHUT_RD),
    closeOnExec: (fd) => fcntl(fd, F_SETFD, FD_CLOEXEC) === 0,
    send(fd, bytes) {
      const sent = send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
      return sent === -1 ? errorCode() : sent;
    },
    sendDatagram(name, bytes) {
      const address = Buffer.alloc(FAMILY_BYTES + name.length);
      address.writeUInt16LE(AF_UNIX);
      name.copy(address, FAMILY_BYTES);
      const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd === -1) return false;
      const sent = sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length);
      closeSync(fd);
      return sent === bytes.length;
    },
    forbidCores: () => setrlimit(RLIMIT_CORE, Buffer.alloc(16)) === 0,
    forbidReading: () => prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0,
    takeVariable(name) {
      const place = getenv(name);
      if (place === null) return undefined;
      const value = Buffer.alloc(strlen(place));
      memcpy(value, place, value.length);
      bzero(place, value.length);
      return value;
    },
  };
}
