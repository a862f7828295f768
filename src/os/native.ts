import { createRequire } from 'node:module';

/** What is started, and with what. */
export interface Program {
  /** Absolute. */
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** A descriptor that the child reads; without one it has no input. It stays the caller's to close. */
  readonly stdin?: number;
}

/** What a file is. */
export interface FileLook {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly size: number;
}

/** The calls of Linux that Node does not have. None of them throws or waits. */
export interface Native {
  /** Whether the next three are there: an old libc lacks a part of them. */
  readonly startsPrograms: boolean;
  /** A pipe that no program inherits, and that holds so many bytes where the system allows it. Reading from it does not block. */
  pipe(bytes?: number): { readonly reading: number; readonly writing: number } | undefined;
  /**
   * Starts a program in `/` and in a session of its own, with no signal blocked or ignored, and with these as its
   * descriptors 1, 2, …: its process id, or the code of the error, EINVAL where a text holds a NUL. It has to be reaped.
   */
  startProgram(program: Program, outputs: readonly number[]): number | string;
  /** The exit status of a program that has ended, null when a signal has ended it, undefined while it runs. */
  reap(pid: number): number | null | undefined;
  /** Sends a signal, by its number, to all of a process group; 0 only looks. False when there is nobody that can get it. */
  signalGroup(pgid: number, signal: number): boolean;
  /** Closes a descriptor that one of these calls has given. In a worker Node warns where it closes what it has not opened. */
  close(fd: number): void;
  /** What the kernel knows of an open file by itself, without asking a disk or a server; undefined where it cannot tell. */
  lookAt(fd: number): FileLook | undefined;
  /** What changes whenever the file at a path is another one or has other contents; undefined where none can be seen. */
  fingerprint(path: string): string | undefined;
  /**
   * A descriptor that stands for what is at a path, below an open directory if one is named, without opening it. Undefined
   * where a disk or a server would have to be asked, and where it is refused.
   */
  hold(path: string, flags: number, directory?: number): number | undefined;
  /** How many bytes of a file have been read on out of memory; 0 at the end; undefined where a disk would have to be asked. */
  readCached(fd: number, buffer: Buffer, at: number, length: number): number | undefined;
  /** The bytes of an option of the socket itself, until the next call; undefined where it has none. */
  socketOption(fd: number, name: number, size: number): Buffer | undefined;
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
  /** The pages between two addresses leave memory; they are read anew from their file, without what was written to them. */
  releasePages(from: bigint, to: bigint): boolean;
  /**
   * Takes the value of a variable, as its bytes stand in the environment block, and fills all that the block has of that
   * name with zeros: the first is the variable, but there may be more. The Buffer is the receiver's.
   */
  takeVariable(name: string): Buffer | undefined;
}

/**
 * Linux's O_PATH, which Node has no name for: a descriptor that stands for a file without opening it, so that a FIFO
 * does not wait, a device does nothing, and no right to read is asked for.
 */
export const O_PATH = 0o10_000_000;

const SOL_SOCKET = 1;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_RD = 0;
const F_SETFD = 2;
const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;
const AT_EMPTY_PATH = 0x1000;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_TYPE_AND_SIZE = 0x201;
const STATX_BASIC_STATS = 0x7ff;
const SYS_OPENAT2 = 437;
const RESOLVE_CACHED = 0x20;
const AT_FDCWD = -100;
const RWF_NOWAIT = 0x8;
const ON_FROM_WHERE_IT_IS = -1;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const FD_CLOEXEC = 1;
const RLIMIT_CORE = 4;
const PR_SET_DUMPABLE = 4;
const O_NONBLOCK = 0o4000;
const MADV_DONTNEED = 4;
const O_CLOEXEC = 0o2000000;
const WNOHANG = 1;
const EINVAL = 22;
const ENOSYS = 38;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;

/** Room for the structures of posix_spawn, and for a set of signals, in any libc. */
const SPAWN_BYTES = 1_024;
const SIGNAL_SET_BYTES = 128;

/** What the address of a Unix socket takes: two bytes for the family, and the name. */
const ADDRESS_BYTES = 110;
const FAMILY_BYTES = 2;
const NO_NAME = Buffer.alloc(0);

/** The structure of statx, and where what is asked for stands in it. */
const STATX = { bytes: 256, mask: 0, mode: 28, size: 40, blocks: 48, changed: 96, end: 144 } as const;

/** The structure of openat2: what is asked of the file, the rights of a new one, and how the path is followed. */
const OPEN_HOW = { bytes: 24, flags: 0, resolve: 16 } as const;

/** The structure of readv. */
const IOVEC = { bytes: 16, address: 0, length: 8 } as const;

/** Most options of a socket fit. */
const OPTION_BYTES = 256;

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(name: string, result: string, parameters: readonly string[]): unknown };
  errno(): number;
  readonly os: { readonly errno: Readonly<Record<string, number>> };
}

type Call = (...parameters: unknown[]) => number;
type Declare = (name: string, result: string, ...parameters: string[]) => Call;

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
  const declare: Declare = (name, result, ...parameters) => libc.func(name, result, parameters) as Call;
  const getsockopt = declare('getsockopt', 'int', 'int', 'int', 'int', 'void *', 'void *');
  const getpeername = declare('getpeername', 'int', 'int', 'void *', 'void *');
  const getsockname = declare('getsockname', 'int', 'int', 'void *', 'void *');
  const close = declare('close', 'int', 'int');
  const kill = declare('kill', 'int', 'int', 'int');
  const shutdown = declare('shutdown', 'int', 'int', 'int');
  const fcntl = declare('fcntl', 'int', 'int', 'int', 'int');
  const send = declare('send', 'long', 'int', 'void *', 'size_t', 'int');
  const socket = declare('socket', 'int', 'int', 'int', 'int');
  const sendto = declare('sendto', 'long', 'int', 'void *', 'size_t', 'int', 'void *', 'uint32_t');
  const setrlimit = declare('setrlimit', 'int', 'int', 'void *');
  const prctl = declare('prctl', 'int', 'int', 'ulong', 'ulong', 'ulong', 'ulong');
  const madvise = declare('madvise', 'int', 'uintptr_t', 'size_t', 'int');
  const getenv = declare('getenv', 'void *', 'str') as unknown as (name: string) => bigint | null;
  const strlen = declare('strlen', 'size_t', 'void *');
  const memcpy = declare('memcpy', 'void *', 'void *', 'void *', 'size_t');
  const addressOf = memcpy as unknown as (bytes: Buffer, same: Buffer, nothing: 0) => bigint;
  const bzero = declare('explicit_bzero', 'void', 'void *', 'size_t');

  // Of the calls that each connection makes: nothing else runs while one is made.
  const address = Buffer.alloc(ADDRESS_BYTES);
  const option = Buffer.alloc(OPTION_BYTES);
  const length = Buffer.alloc(4);
  const looked = Buffer.alloc(STATX.bytes);
  const how = Buffer.alloc(OPEN_HOW.bytes);
  how.writeUInt32LE(RESOLVE_CACHED, OPEN_HOW.resolve);
  const room = Buffer.alloc(IOVEC.bytes);

  function codeOf(number: number): string {
    return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? String(number);
  }

  const programs = orMissing(() => wrapPrograms(declare));
  const statx = orMissing(() => declare('statx', 'int', 'int', 'str', 'int', 'uint32_t', 'void *'));
  const openat2 = declare('syscall', 'long', 'long', 'int', 'str', 'void *', 'size_t'); // older than most libc have it
  const preadv2 = orMissing(() => declare('preadv2', 'long', 'int', 'void *', 'int', 'long', 'int'));

  function nameBy(call: Call, fd: number): Buffer | undefined {
    length.writeUInt32LE(ADDRESS_BYTES);
    if (call(fd, address, length) !== 0 || address.readUInt16LE(0) !== AF_UNIX) return undefined;
    const end = length.readUInt32LE(0);
    return end === FAMILY_BYTES ? NO_NAME : Buffer.from(address.subarray(FAMILY_BYTES, end));
  }

  function errorCode(): string {
    return codeOf(koffi.errno());
  }

  return {
    startsPrograms: programs !== undefined,
    pipe: (bytes) => programs?.pipe(bytes),
    startProgram(program, outputs) {
      const started = programs?.start(program, outputs) ?? { error: ENOSYS };
      return 'pid' in started ? started.pid : codeOf(started.error);
    },
    reap: (pid) => programs?.reap(pid),
    signalGroup: (pgid, signal) => kill(-pgid, signal) === 0,
    close: (fd) => void close(fd),
    lookAt(fd) {
      const flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
      if (statx?.(fd, '', flags, STATX_TYPE_AND_SIZE, looked) !== 0) return undefined;
      if ((looked.readUInt32LE(STATX.mask) & STATX_TYPE_AND_SIZE) !== STATX_TYPE_AND_SIZE) return undefined;
      const type = looked.readUInt16LE(STATX.mode) & S_IFMT;
      return {
        isFile: type === S_IFREG,
        isDirectory: type === S_IFDIR,
        size: Number(looked.readBigUInt64LE(STATX.size)),
      };
    },
    fingerprint(path) {
      if (holdsNul(path) || statx?.(AT_FDCWD, path, 0, STATX_BASIC_STATS, looked) !== 0) return undefined;
      // Mode, inode and size; the times of changes and the device.
      return looked.toString('latin1', STATX.mode, STATX.blocks) + looked.toString('latin1', STATX.changed, STATX.end);
    },
    hold(path, flags, directory) {
      if (holdsNul(path)) return undefined;
      how.writeUInt32LE(flags | O_PATH | O_CLOEXEC, OPEN_HOW.flags);
      // An absolute path would not be one below the directory.
      const [from, name] = directory === undefined ? [AT_FDCWD, path] : [directory, `./${path}`];
      const held = openat2(SYS_OPENAT2, from, name, how, OPEN_HOW.bytes);
      return held < 0 ? undefined : held;
    },
    readCached(fd, buffer, at, length) {
      const into = buffer.subarray(at, at + length);
      room.writeBigUInt64LE(addressOf(into, into, 0), IOVEC.address);
      room.writeUInt32LE(into.length, IOVEC.length);
      const read = preadv2?.(fd, room, 1, ON_FROM_WHERE_IT_IS, RWF_NOWAIT) ?? -1;
      return read < 0 ? undefined : read;
    },
    socketOption(fd, name, size) {
      const value = size > OPTION_BYTES ? Buffer.alloc(size) : option;
      length.writeUInt32LE(size);
      if (getsockopt(fd, SOL_SOCKET, name, value, length) === 0) return value.subarray(0, length.readUInt32LE(0));
      const needed = length.readUInt32LE(0); // the kernel says it where the room was too small
      return needed > size ? this.socketOption(fd, name, needed) : undefined;
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
      close(fd);
      return sent === bytes.length;
    },
    forbidCores: () => setrlimit(RLIMIT_CORE, Buffer.alloc(16)) === 0,
    forbidReading: () => prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0,
    releasePages: (from, to) => madvise(from, to - from, MADV_DONTNEED) === 0,
    takeVariable(name) {
      const before = Buffer.byteLength(name) + 1;
      let value: Buffer | undefined;
      for (let place = getenv(name); place !== null; place = getenv(name)) {
        const length = strlen(place);
        if (value === undefined) {
          value = Buffer.alloc(length);
          memcpy(value, place, length);
        }
        // With its name: so the next one of that name is found. An empty entry is nothing to whoever reads the block.
        bzero(place - BigInt(before), before + length);
      }
      return value;
    },
  };
}

interface ProgramCalls {
  pipe(bytes?: number): { readonly reading: number; readonly writing: number } | undefined;
  start(program: Program, outputs: readonly number[]): { readonly pid: number } | { readonly error: number };
  reap(pid: number): number | null | undefined;
}

/** An old libc lacks some calls. */
function orMissing<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

/** `NAME=value`, made once for each environment, as all programs of a store have the same. */
const blocks = new WeakMap<Program['env'], readonly string[]>();

function blockOf(env: Program['env']): readonly string[] {
  let block = blocks.get(env);
  if (block === undefined) {
    block = Object.entries(env).map((pair) => pair.join('='));
    blocks.set(env, block);
  }
  return block;
}

/** What C takes for the end of a text. */
function holdsNul(text: string): boolean {
  return text.includes('\0');
}

function wrapPrograms(declare: Declare): ProgramCalls {
  const pipe2 = declare('pipe2', 'int', 'void *', 'int');
  const fcntl = declare('fcntl', 'int', 'int', 'int', 'int');
  const waitpid = declare('waitpid', 'int', 'int', 'void *', 'int');
  const initActions = declare('posix_spawn_file_actions_init', 'int', 'void *');
  const destroyActions = declare('posix_spawn_file_actions_destroy', 'int', 'void *');
  const addOpen = declare('posix_spawn_file_actions_addopen', 'int', 'void *', 'int', 'str', 'int', 'uint32_t');
  const addDup2 = declare('posix_spawn_file_actions_adddup2', 'int', 'void *', 'int', 'int');
  const addChdir = declare('posix_spawn_file_actions_addchdir_np', 'int', 'void *', 'str');
  const initAttributes = declare('posix_spawnattr_init', 'int', 'void *');
  const setFlags = declare('posix_spawnattr_setflags', 'int', 'void *', 'short');
  const setDefaults = declare('posix_spawnattr_setsigdefault', 'int', 'void *', 'void *');
  const setMask = declare('posix_spawnattr_setsigmask', 'int', 'void *', 'void *');
  const spawn = declare('posix_spawn', 'int', 'void *', 'str', 'void *', 'void *', 'str *', 'str *');

  const attributes = Buffer.alloc(SPAWN_BYTES);
  initAttributes(attributes);
  setFlags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  setDefaults(attributes, Buffer.alloc(SIGNAL_SET_BYTES, 0xff));
  setMask(attributes, Buffer.alloc(SIGNAL_SET_BYTES));
  // Nothing else runs while one of the calls is made.
  const ends = Buffer.alloc(8);
  const actions = Buffer.alloc(SPAWN_BYTES);
  const number = Buffer.alloc(4);

  return {
    pipe(bytes) {
      if (pipe2(ends, O_CLOEXEC) !== 0) return undefined;
      const [reading, writing] = [ends.readInt32LE(0), ends.readInt32LE(4)];
      fcntl(reading, F_SETFL, O_NONBLOCK);
      if (bytes !== undefined) fcntl(reading, F_SETPIPE_SZ, bytes);
      return { reading, writing };
    },
    start({ file, args, env, stdin }, outputs) {
      const variables = blockOf(env);
      if (holdsNul(file) || args.some(holdsNul) || variables.some(holdsNul)) return { error: EINVAL };
      initActions(actions);
      if (stdin === undefined) addOpen(actions, 0, '/dev/null', 0, 0);
      else addDup2(actions, stdin, 0);
      for (const [at, output] of outputs.entries()) addDup2(actions, output, at + 1);
      addChdir(actions, '/');
      const error = spawn(number, file, actions, attributes, [file, ...args, null], [...variables, null]);
      destroyActions(actions);
      return error === 0 ? { pid: number.readInt32LE(0) } : { error };
    },
    reap(pid) {
      const reaped = waitpid(pid, number, WNOHANG);
      if (reaped === 0) return undefined;
      const [low = 0, high = 0] = number; // the status
      return reaped === pid && (low & 0x7f) === 0 ? high : null;
    },
  };
}
