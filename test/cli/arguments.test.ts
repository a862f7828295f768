import t from 'tap';
import { parseCommandLine } from '../../src/cli/arguments.js';
import { COMMANDS } from '../../src/cli/commands.js';
import { usageOf } from '../../src/cli/help.js';
import { run } from '../../src/cli/run.js';
import { VERSION } from '../../src/version.js';
import { memoryIo } from '../support/io.js';

t.test('wrong usage ends with 64, is told on stderr and prints nothing', async (t) => {
  const wrong: Record<string, readonly string[]> = {
    'no command': [],
    'an empty command': [''],
    'an unknown command': ['bogus'],
    'a name of Object.prototype': ['constructor'],
    'an option in place of a command': ['--launch', 'x.yaml'],
    'an unknown option': ['serve', '--bogus'],
    'an unknown option with a dot': ['serve', '--bogus.option'],
    'an unknown short option': ['serve', '-x'],
    'an option of another command': ['serve', '--offline'],
    'serve without --launch': ['serve'],
    'check without --launch': ['check'],
    '--launch without a value': ['serve', '--launch'],
    '--launch with another option for a value': ['check', '--launch', '--json'],
    '--launch with an empty value': ['serve', '--launch='],
    'a flag with a value': ['check', '--launch', 'x.yaml', '--offline=yes'],
    'a negated flag': ['check', '--launch', 'x.yaml', '--no-offline'],
    'an operand too many': ['serve', '--launch', 'x.yaml', 'extra'],
    'get without a name': ['get', '--socket', 's.sock'],
    'get with two names': ['get', 'a', 'b', '--socket', 's.sock'],
    'get without a socket': ['get', 'a'],
    'get with an empty socket': ['get', 'a', '--socket', ''],
    'health without a socket': ['health'],
    'health with an operand': ['health', 'a', '--socket', 's.sock'],
    'exec without a command': ['exec', '--socket', 's.sock', 'A=b'],
    'exec with nothing after --': ['exec', '--socket', 's.sock', 'A=b', '--'],
    'exec without a socket': ['exec', 'A=b', '--', 'true'],
    'exec with something that is no binding': ['exec', '--socket', 's.sock', 'a', '--', 'true'],
    'exec with a variable twice': ['exec', '--socket', 's.sock', 'A=b', '--file', 'A=b', '--', 'true'],
    'exec with --file and no value': ['exec', '--socket', 's.sock', '--file', '--', 'true'],
    'explain without a name': ['explain', '--launch', 'x.yaml'],
    'explain without --launch': ['explain', 'a'],
    'check with an empty --expect': ['check', '--launch', 'x.yaml', '--expect', ''],
    'completion without a shell': ['completion'],
    'completion for an unknown shell': ['completion', 'tcsh'],
    'completion for a name of Object.prototype': ['completion', 'constructor'],
    'init with an empty --dir': ['init', '--dir', ''],
    'health with a socket path of 108 bytes': ['health', '--socket', `/${'s'.repeat(107)}`],
  };
  for (const [what, argv] of Object.entries(wrong)) {
    const io = memoryIo();
    t.equal(await run(argv, io), 64, what);
    t.equal(io.text(), '', `${what}: nothing on stdout`);
    t.match(
      io.errors(),
      /^mxm-secretsd: .+\nmxm-secretsd (?:[a-z]+ )?--help tells what there is\.\n$/,
      `${what}: a reason and a hint`,
    );
  }
});

t.test('wrong usage is told in one sentence that names what is wrong', async (t) => {
  const told: Record<string, readonly string[]> = {
    'there is no command "bogus"': ['bogus'],
    'there is no command "chek"; did you mean "check"?': ['chek'],
    'unknown option --bogus': ['--bogus'],
    'serve has no option --bogus.option': ['serve', '--bogus.option'],
    'serve has no option --constructor': ['serve', '--constructor'],
    'serve has no option -x': ['serve', '-x'],
    'check has no option --lanch; did you mean "--launch"?': ['check', '--lanch', 'x'],
    'get has no option --hlep; did you mean "--help"?': ['get', '--hlep'],
    '--offline takes no value': ['check', '--launch', 'x', '--offline=yes'],
    'serve takes no operands, not 1 operands': ['serve', '--launch', 'x', 'extra'],
    'get takes NAME, not 0 operands': ['get'],
    '--launch FILE is missing': ['check', 'launch.yaml'],
    '--expect FILE is missing': ['check', '--launch', 'x', '--expect'],
    '--launch FILE is missing; a value that begins with "-" is written --launch=-…': ['check', '--launch', '--json'],
    '--wait SECONDS is missing; a value that begins with "-" is written --wait=-…': ['get', 'x', '--wait', '-1'],
    '--dir DIR is missing; a value that begins with "-" is written --dir=-…': ['init', '--dir', '-x'],
    'exec takes a command to run after --': ['exec', 'A=b'],
    'completion takes bash|zsh|fish, not 0 operands': ['completion'],
    'completion takes one of bash, zsh, fish': ['completion', 'tcsh'],
  };
  for (const [message, argv] of Object.entries(told)) {
    const io = memoryIo();
    await run(argv, io);
    t.equal(io.errors().split('\n')[0], `mxm-secretsd: ${message}`);
  }
});

t.test('the hint is the help of the command, where there is one', async (t) => {
  for (const [argv, hint] of [
    [['check', '--lanch', 'x'], 'mxm-secretsd check --help'],
    [['chek'], 'mxm-secretsd --help'],
    [[], 'mxm-secretsd --help'],
  ] as const) {
    const io = memoryIo();
    await run(argv, io);
    t.equal(io.errors().split('\n')[1], `${hint} tells what there is.`);
  }
});

t.test('a value may begin with a dash after =, and be a dash alone', (t) => {
  t.match(parseCommandLine(['check', '--launch=-x']), { options: { launch: '-x' } });
  t.match(parseCommandLine(['check', '--launch', '-']), { options: { launch: '-' } });
  t.end();
});

t.test('--version is printed everywhere, whatever else is missing', async (t) => {
  for (const argv of [[], ...[...COMMANDS.keys()].map((name) => [name])]) {
    const io = memoryIo();
    t.equal(await run([...argv, '--version'], io), 0);
    t.equal(io.text(), `mxm-secretsd ${VERSION}\n`);
  }
});

t.test('--help and -h list every command', async (t) => {
  for (const option of ['--help', '-h']) {
    const io = memoryIo();
    t.equal(await run([option], io), 0);
    for (const { name, summary } of COMMANDS.values()) {
      t.ok(io.text().includes(`  ${name.padEnd('completion'.length)}  ${summary}\n`), name);
    }
  }
});

t.test('--help of a command lists its operands and every option', async (t) => {
  for (const [name, command] of COMMANDS) {
    const io = memoryIo();
    t.equal(await run([name, '--help'], io), 0);
    t.equal(io.text().split('\n')[0], `Usage: mxm-secretsd ${usageOf(command)}`);
    for (const [option, { value, help }] of Object.entries(command.options)) {
      t.match(io.text(), value === undefined ? `--${option} ` : `--${option} ${value} `);
      t.match(io.text(), help);
    }
    t.equal(io.errors(), '');
  }
});

t.test('the help shows a command as it is written', (t) => {
  const usage = (name: string): string => usageOf(COMMANDS.get(name)!);
  t.equal(usage('serve'), 'serve [options]');
  t.equal(usage('get'), 'get NAME [options]');
  t.equal(usage('exec'), 'exec [options] [VAR=NAME…] -- COMMAND…');
  t.equal(usageOf(COMMANDS.get('exec')!, ''), 'exec [VAR=NAME…] -- COMMAND…');
  t.end();
});

t.test('what stands after -- is the command of exec, whatever it looks like, and an operand of any other', (t) => {
  const rest = ['env', '--socket', 's', '--', '-h', '--version'];
  t.match(parseCommandLine(['exec', '--file', 'A=b', 'C=d', '--file=E=f', '--', ...rest]), {
    kind: 'run',
    options: { file: ['A=b', 'E=f'] },
    operands: ['C=d'],
    rest,
  });
  t.match(parseCommandLine(['exec', '--', 'true']), { kind: 'run', operands: [], rest: ['true'] });
  t.match(parseCommandLine(['exec', '--help', '--', 'true']), { kind: 'help' });
  t.match(parseCommandLine(['get', '--', '-name']), { kind: 'run', operands: ['-name'], rest: [] });
  t.end();
});
