import { rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type BackendFailure, failure } from '../../src/backends/backend.js';
import type { Answer, Client, Question } from '../../src/backends/openbao_client.js';
import { type TokenSource, tokensOfAppRole, tokensOfFile } from '../../src/backends/openbao_tokens.js';
import { forward } from '../support/clock.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';
import { until } from '../support/until.js';

// Logins at a real server are in openbao.test.ts.

const UNREADABLE = failure('backend_unavailable', 'credential_unreadable');
const TIMED_OUT = failure('backend_timeout', 'timeout');
const UNREACHABLE = failure('backend_unavailable', 'server_unreachable');
const forever = new AbortController().signal;

t.test('a token is what stands in its file now, without the white space around it', async (t) => {
  const file = writeFile(temporaryFolder(t), 'token', 'one\n');
  const tokens = tokensOfFile(file);
  t.equal(await tokens.token(forever), 'one');
  t.equal(await tokens.another('one', forever), undefined, 'there is no other one');
  writeFileSync(file, '  two \r\n\n');
  t.equal(await tokens.another('one', forever), 'two');
  t.equal(await tokens.token(forever), 'two');
});

t.test('a file that holds no token, or is none, is told', async (t) => {
  const folder = temporaryFolder(t);
  for (const content of ['', '\n', 'two words', 'a\nb', 'tök', Buffer.from([0])]) {
    const tokens = tokensOfFile(writeFile(folder, 'token', content));
    t.same(await tokens.token(forever), UNREADABLE, JSON.stringify(content));
    t.same(await tokens.another('one', forever), UNREADABLE);
  }
  t.same(await tokensOfFile(`${folder}/none`).token(forever), UNREADABLE);
});

interface Asked extends Question {
  answer(answer: Answer | BackendFailure): void;
}

interface AppRole extends TokenSource {
  readonly asked: Asked[];
  readonly roleIdFile: string;
}

/** An AppRole whose logins and renewals the test answers. */
function appRole(t: Test): AppRole {
  const folder = temporaryFolder(t);
  const roleIdFile = writeFile(folder, 'role_id', 'the-role\n');
  const secretIdFile = writeFile(folder, 'secret_id', 'the-secret\n');
  const asked: Asked[] = [];
  const client: Client = (question) =>
    new Promise((resolve) => {
      const { signal } = question;
      signal.addEventListener('abort', () => resolve(TIMED_OUT));
      if (signal.aborted) resolve(TIMED_OUT);
      else asked.push({ ...question, answer: resolve });
    });
  return { ...tokensOfAppRole(client, { roleIdFile, secretIdFile, mount: 'app%20role' }), asked, roleIdFile };
}

function granting(token: string, seconds: number, renewable = true): Answer {
  const auth = { client_token: token, lease_duration: seconds, renewable, policies: ['x'] };
  return saying(200, JSON.stringify({ request_id: 'r', auth }));
}

function saying(status: number, body: string): Answer {
  return { status, body: Buffer.from(body) };
}

/** The next question, once it has been asked. */
function nextOf({ asked }: AppRole): Promise<Asked> {
  return until(() => asked.shift());
}

/** Logs in, and gives the token. */
async function loggedIn(role: AppRole, answer: Answer): Promise<unknown> {
  const token = role.token(forever);
  (await nextOf(role)).answer(answer);
  return token;
}

/** Asks for a token that has to be asked for at the server. */
async function due(role: AppRole): Promise<{ token: Promise<string | BackendFailure>; question: Asked }> {
  const token = role.token(forever);
  return { token, question: await nextOf(role) };
}

t.test('a login sends both ids, and its answer is not kept', async (t) => {
  const role = appRole(t);
  const token = role.token(forever);
  const question = await nextOf(role);
  t.match(question, { method: 'POST', path: 'auth/app%20role/login', token: undefined });
  t.same(JSON.parse(question.body ?? ''), { role_id: 'the-role', secret_id: 'the-secret' });
  const answer = granting('one', 0);
  question.answer(answer);
  t.equal(await token, 'one');
  t.same(answer.body, Buffer.alloc(answer.body.length));
});

t.test('a token without an end is used for ever', async (t) => {
  const role = appRole(t);
  t.equal(await loggedIn(role, granting('one', 0)), 'one');
  t.equal(await role.token(forever), 'one');
  t.equal(role.asked.length, 0);
});

t.test('one login serves all who wait, and who leaves is not waited for', async (t) => {
  const role = appRole(t);
  const leaving = new AbortController();
  const tokens = [role.token(forever), role.token(leaving.signal), role.token(forever)];
  leaving.abort();
  t.same(await tokens[1], TIMED_OUT);
  (await nextOf(role)).answer(granting('one', 60));
  t.same([await tokens[0], await tokens[2]], ['one', 'one']);
  t.equal(role.asked.length, 0);
});

t.test('a token is renewed when two thirds of its time are over', async (t) => {
  const role = appRole(t);
  await loggedIn(role, granting('one', 300));
  forward(t, 190);
  t.equal(await role.token(forever), 'one');
  t.equal(role.asked.length, 0);
  forward(t, 20);
  const { token, question } = await due(role);
  t.match(question, { method: 'POST', path: 'auth/token/renew-self', token: 'one', rounds: 1 });
  question.answer(granting('one', 300));
  t.equal(await token, 'one');
  t.equal(await role.token(forever), 'one');
  t.equal(role.asked.length, 0);
});

t.test('a login takes the place of a renewal that is refused, fails, or gives little', async (t) => {
  const bad = [saying(403, ''), saying(400, ''), UNREACHABLE, granting('one', 140), saying(200, 'garbage')];
  for (const answer of bad) {
    const role = appRole(t);
    await loggedIn(role, granting('one', 300));
    forward(t, 210);
    const { token, question } = await due(role);
    t.match(question.path, /renew-self$/);
    question.answer(answer);
    const login = await nextOf(role);
    t.match(login.path, /login$/);
    login.answer(granting('two', 300));
    t.equal(await token, 'two');
  }
});

t.test('a token that cannot be renewed, and one whose time is over, is replaced by a login', async (t) => {
  for (const renewable of [false, true]) {
    const role = appRole(t);
    await loggedIn(role, granting('one', 300, renewable));
    forward(t, renewable ? 310 : 210);
    const { token, question } = await due(role);
    t.match(question.path, /login$/);
    question.answer(granting('two', 60));
    t.equal(await token, 'two');
  }
});

t.test('a token that lives is used on while the server gives no other one', async (t) => {
  const role = appRole(t);
  await loggedIn(role, granting('one', 300));
  forward(t, 210);
  const { token, question } = await due(role);
  question.answer(UNREACHABLE);
  (await nextOf(role)).answer(UNREACHABLE);
  t.equal(await token, 'one');
  forward(t, 50);
  t.equal(await role.token(forever), 'one');
  t.equal(role.asked.length, 0, 'another one is asked for when two thirds of the rest are over');
  forward(t, 20);
  const again = await due(role);
  again.question.answer(granting('one', 300));
  t.equal(await again.token, 'one');
});

t.test('a renewal that hangs is given up while the token lives', async (t) => {
  const role = appRole(t);
  await loggedIn(role, granting('one', 300));
  forward(t, 210);
  const { token, question } = await due(role);
  t.equal(await token, 'one');
  t.ok(question.signal.aborted);
  role.asked.length = 0;
  t.equal(await role.token(forever), 'one');
  t.equal(role.asked.length, 0);
});

t.test('a token that is refused while it is renewed is not given again', async (t) => {
  const role = appRole(t);
  await loggedIn(role, granting('one', 300));
  forward(t, 210);
  const { token, question } = await due(role);
  const another = role.another('one', forever);
  question.answer(saying(403, ''));
  (await nextOf(role)).answer(UNREACHABLE);
  t.same(await Promise.all([token, another]), [UNREACHABLE, UNREACHABLE]);
});

t.test('a login that hangs is not joined for ever, and what a later one gives serves all', async (t) => {
  const role = appRole(t);
  const { token, question } = await due(role);
  forward(t, 2);
  t.equal(await loggedIn(role, granting('two', 60)), 'two');
  question.answer(UNREACHABLE);
  t.equal(await token, 'two');
});

t.test('with no token left, why there is none is the answer', async (t) => {
  const role = appRole(t);
  t.same(
    await loggedIn(role, saying(400, '{"errors":["invalid secret id"]}')),
    failure('backend_failed', 'login_refused'),
  );
  for (const body of [
    'garbage',
    '{}',
    '{"auth":null}',
    '{"auth":{"client_token":"","lease_duration":1,"renewable":true}}',
  ]) {
    t.same(await loggedIn(role, saying(200, body)), failure('backend_failed', 'unexpected_answer'), body);
  }
  t.same(await loggedIn(role, granting('two words', 1)), failure('backend_failed', 'unexpected_answer'));
  t.same(await loggedIn(role, saying(204, '')), failure('backend_failed', 'unexpected_answer'));
  rmSync(role.roleIdFile);
  t.same(await role.token(forever), UNREADABLE);
});

t.test('a token that was refused is replaced once, whoever else has been refused it', async (t) => {
  const role = appRole(t);
  await loggedIn(role, granting('one', 60));
  const others = [role.another('one', forever), role.another('one', forever)];
  (await nextOf(role)).answer(granting('two', 60));
  t.same(await Promise.all(others), ['two', 'two']);
  t.equal(await role.another('one', forever), 'two', 'it has been replaced already');
  t.equal(role.asked.length, 0);
});
