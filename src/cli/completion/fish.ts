import type { Completes } from '../commands.js';
import { offers, quoted } from './offers.js';

export function fishCompletion(): string {
  const lines = offers().flatMap(({ command, options, operands }) => {
    const inCommand = `complete -c mxm-secretsd -n ${quoted(`__mxm_secretsd_in ${command.name}`)}`;
    return [
      `complete -c mxm-secretsd -n __mxm_secretsd_first -a ${command.name} -d ${quoted(command.summary)}`,
      ...options.map(
        ([name, { value, help, completes }]) =>
          `${inCommand} -l ${name}${value === undefined ? '' : ` -r ${offer(completes)}`} -d ${quoted(help)}`,
      ),
      ...(operands === undefined ? [] : [`${inCommand} ${offer(operands)}`]),
    ];
  });
  return `# fish completion for mxm-secretsd: put into ~/.config/fish/completions/mxm-secretsd.fish,
# or run: mxm-secretsd completion fish | source
function __mxm_secretsd_first
    test (count (commandline -opc)) -eq 1
end
function __mxm_secretsd_in
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test $words[2] = $argv[1]; and not contains -- -- $words
end
# After "--" stands another command.
function __mxm_secretsd_rest
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words); or return
    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end
complete -c mxm-secretsd -f
complete -c mxm-secretsd -n __mxm_secretsd_first -l help -d 'prints the help'
complete -c mxm-secretsd -n __mxm_secretsd_first -l version -d 'prints the version'
complete -c mxm-secretsd -n 'contains -- -- (commandline -opc)' -a '(__mxm_secretsd_rest)'
${lines.join('\n')}
`;
}

function offer(completes: Completes | undefined): string {
  if (completes === undefined) return '-f';
  if (completes === 'file') return '-F';
  if (completes === 'folder') return `-f -a '(__fish_complete_directories)'`;
  return `-f -a ${quoted(completes.join(' '))}`;
}
