import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import t from 'tap';
import { credentialRequestOf, descriptorOf, isListed, type Peer, peerOf } from '../../src/os/peer.js';
import { connectedPair } from '../support/connected_pair.js';
import { connectPeer, type PeerOptions, realPython } from '../support/python_peer.js';
import { type Ending, temporaryFolder } from '../support/temporary.js';

const isRoot = process.getuid?.() === 0;
const asRoot = { skip: realPython().skip || (isRoot ? false : 'only root can be another user') };
const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;

/** Our end of a connection from a process of its own. */
async function accept(t: Ending, options: PeerOptions): Promise<{ socket: Socket; pid: number }> {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const path = `${folder}/s.sock`;
  const umask = process.umask(0);
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  process.umask(umask);
  t.teardown(() => server.close());
  const connection = once(server, 'connection') as Promise<[Socket]>;
  const { pid } = await connectPeer(t, path, options);
  const [socket] = await connection;
  t.teardown(() => socket.destroy());
  return { socket, pid };
}

t.test('it is told who connected', { skip: realPython().skip }, async (t) => {
  const { socket, pid } = await accept(t, {});
  t.same(peerOf(socket), { pid, uid, gid });
});

t.test('of a closed connection, and where the platform cannot tell, nothing is told', async (t) => {
  const { server } = await connectedPair(t);
  t.equal(peerOf(server, null), null);
  server.destroy();
  t.equal(peerOf(server), null);
  t.equal(descriptorOf(new Socket()), undefined);
  t.notOk(isListed({ uids: [uid], gids: [gid] }, null, server));
  t.notOk(isListed({ uids: [], gids: [1] }, { pid: 1, uid, gid: 0 }, server), 'nor its groups');
  t.equal(credentialRequestOf(server, null), null);
});

t.test('who is listed', async (t) => {
  const { server } = await connectedPair(t);
  const peer = peerOf(server) as Peer;
  t.ok(isListed({ uids: [uid], gids: [] }, peer, server), 'by the user');
  t.ok(isListed({ uids: [], gids: [gid] }, peer, server), 'by the group');
  t.notOk(isListed({ uids: [], gids: [] }, peer, server), 'nobody is, by nothing');
  t.notOk(isListed({ uids: [uid + 1], gids: [] }, peer, server));
  t.notOk(isListed({ uids: [], gids: [99_999] }, peer, server));
  t.notOk(isListed({ uids: [], gids: [99_999] }, peer, server, null));
});

t.test('supplementary groups count, and no user needs a name', asRoot, async (t) => {
  const groups = Array.from({ length: 200 }, (_, index) => 70_000 + index);
  const { socket } = await accept(t, { as: { uid: 54_321, gid: 54_322, groups } });
  const peer = peerOf(socket) as Peer;
  t.match(peer, { uid: 54_321, gid: 54_322 });
  t.ok(isListed({ uids: [54_321], gids: [] }, peer, socket));
  t.ok(isListed({ uids: [], gids: [70_000] }, peer, socket));
  t.ok(isListed({ uids: [], gids: [70_199] }, peer, socket), 'however many they are');
  t.notOk(isListed({ uids: [], gids: [70_200] }, peer, socket));
  t.notOk(isListed({ uids: [70_000], gids: [54_321] }, peer, socket), 'users and groups are not mixed up');
});

t.test('a service manager says for which unit it asks, and for what', { skip: realPython().skip }, async (t) => {
  const asked: Record<string, { unit: string; id: string } | null> = {
    '@0123456789abcdef/unit/reader.service/api_key': { unit: 'reader.service', id: 'api_key' },
    '@a/unit/a-b\\x2dc@d.service/No-Name': { unit: 'a-b\\x2dc@d.service', id: 'No-Name' },
    [`@1/unit/${'u'.repeat(83)}.service/k`]: { unit: `${'u'.repeat(83)}.service`, id: 'k' },
    '@0123456789abcdef0/unit/reader.service/api_key': null,
    '@/unit/reader.service/api_key': null,
    '@XYZ/unit/reader.service/api_key': null,
    '@a/unit/reader.service/': null,
    '@a/unit/reader.service/api_key/x': null,
    '@a/unit//api_key': null,
    '@a/user/reader.service/api_key': null,
  };
  for (const [name, expected] of Object.entries(asked)) {
    const { socket } = await accept(t, { name });
    t.same(credentialRequestOf(socket, peerOf(socket)), expected, name);
  }
});

t.test('such a name counts for root and for our own user alone', asRoot, async (t) => {
  const name = '@0123456789abcdef/unit/reader.service/api_key';
  const { socket } = await accept(t, { name, as: { uid: 54_321, gid: 0 } });
  t.equal(credentialRequestOf(socket, peerOf(socket)), null);
  t.match(credentialRequestOf(socket, { pid: 1, uid: 0, gid: 0 }), { unit: 'reader.service' });
  t.equal(credentialRequestOf(socket, { pid: 1, uid: 0, gid: 0 }, null), null);
});
