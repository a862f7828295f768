import type { Socket } from 'node:net';
import { type Native, native } from './native.js';

/** The process at the other end of a connection, as the kernel noted it when that connected. */
export interface Peer {
  /** For the record only: by now it may be another process's. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who may ask. Nobody else, however he came to the socket. */
export interface PeerRule {
  readonly uids: readonly number[];
  /** Supplementary groups count. */
  readonly gids: readonly number[];
}

/** What systemd asks for when a unit says `LoadCredential=ID:SOCKET`. */
export interface CredentialRequest {
  readonly unit: string;
  readonly id: string;
}

const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;

/** Room for as many groups as most users are in. */
const GROUPS_BYTES = 4 * 64;

/** systemd binds its end of the connection to this name, which no file has. A unit and an id have no slash. */
const CREDENTIAL_NAME = /^\0[0-9a-f]{1,16}\/unit\/([^/]+)\/([^/]+)$/;

/** Null where the platform cannot tell, and of a connection that is closed already. */
export function peerOf(socket: Socket, kernel: Native | null = native): Peer | null {
  const fd = descriptorOf(socket);
  const credentials = fd === undefined ? undefined : kernel?.socketOption(fd, SO_PEERCRED, 12);
  if (credentials?.length !== 12) return null;
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(8) };
}

/** Whether the rule lists the process at the other end: its user, its group or one of its supplementary groups. */
export function isListed(
  { uids, gids }: PeerRule,
  peer: Peer | null,
  socket: Socket,
  kernel: Native | null = native,
): boolean {
  if (peer === null) return false;
  if (uids.includes(peer.uid) || gids.includes(peer.gid)) return true;
  return gids.length > 0 && supplementaryGroups(socket, kernel).some((gid) => gids.includes(gid));
}

function supplementaryGroups(socket: Socket, kernel: Native | null): number[] {
  const fd = descriptorOf(socket);
  const groups = (fd === undefined ? undefined : kernel?.socketOption(fd, SO_PEERGROUPS, GROUPS_BYTES)) ?? [];
  return Array.from({ length: groups.length / 4 }, (_, index) => (groups as Buffer).readUInt32LE(index * 4));
}

/**
 * What a service manager asks for on this connection; null when it is no service manager's. Whoever connects can take
 * such a name, so it counts for root, and for the user of this process, whose service manager has the same rights.
 */
export function credentialRequestOf(
  socket: Socket,
  peer: Peer | null,
  kernel: Native | null = native,
): CredentialRequest | null {
  if (peer === null || (peer.uid !== 0 && peer.uid !== process.getuid?.())) return null;
  const name = kernel?.peerName(descriptorOf(socket) as number);
  if (name === undefined || name.length === 0) return null;
  const [, unit, id] = CREDENTIAL_NAME.exec(name.toString('utf8')) ?? [];
  return unit === undefined || id === undefined ? null : { unit, id };
}

/** Of an open socket; Node has no word for it. */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
