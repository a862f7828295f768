import t from 'tap';
import { COMMANDS } from '../../src/cli/commands.js';
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
    'health with a socket path of 108 bytes': ['health', '--socket', `/${'s'.repeat(107)}`],
  };
  for (const [what, argv] of Object.entries(wrong)) {
    const io = memoryIo();
    t.equal(await run(argv, io), 64, what);
    t.equal(io.text(), '', `${what}: nothing on stdout`);
    t.match(
      io.errors(),
      /^mxm-secretsd: .+\nmxm-secretsd --help tells what there is\.\n$/,
      `${what}: a reason and a hint`,
    );
  }
});

t.test('wrong usage is told in one sentence that names what is wrong', async (t) => {
  const told: Record<string, readonly string[]> = {
    'there is no command "bogus"': ['bogus'],
    'unknown option --bogus': ['--bogus'],
    "Unknown option '--bogus.option'": ['serve', '--bogus.option'],
    'serve takes no operands, not 1 operands': ['serve', 'extra'],
    'get takes NAME, not 0 operands': ['get'],
    '--launch FILE is missing': ['check'],
  };
  for (const [message, argv] of Object.entries(told)) {
    const io = memoryIo();
    await run(argv, io);
    t.equal(io.errors().split('\n')[0], `mxm-secretsd: ${message}`);
  }
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
    for (const { name, summary } of COMMANDS.values())
      t.ok(io.text().includes(`  ${name.padEnd(8)} ${summary}\n`), name);
  }
});

t.test('--help of a command lists its operands and every option', async (t) => {
  for (const [name, { operands, options }] of COMMANDS) {
    const io = memoryIo();
    t.equal(await run([name, '--help'], io), 0);
    t.equal(io.text().split('\n')[0], `Usage: mxm-secretsd ${[name, ...operands].join(' ')} [options]`);
    for (const [option, { value, help }] of Object.entries(options)) {
      t.match(io.text(), value === undefined ? `--${option} ` : `--${option} ${value} `);
      t.match(io.text(), help);
    }
    t.equal(io.errors(), '');
  }
});
