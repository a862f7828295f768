import type { Completes } from '../commands.js';
import { offers, quoted } from './offers.js';

/** Needs bash 4 and nothing else. */
export function bashCompletion(): string {
  const all = offers();
  return `# bash completion for mxm-secretsd: put into ~/.local/share/bash-completion/completions/mxm-secretsd,
# or run: source <(mxm-secretsd completion bash)
_mxm_secretsd() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} word at
  COMPREPLY=()
  # "=" is a word of its own: --launch=FILE, VAR=NAME.
  if [[ $current == = ]]; then current=; elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  if ((COMP_CWORD == 1)); then
    _mxm_secretsd_words ${quoted([...all.map(({ command }) => command.name), '--help', '--version'].join(' '))}
    return
  fi
  # After "--" stands another command.
  for ((at = 2; at < COMP_CWORD; at++)); do
    [[ \${COMP_WORDS[at]} == -- ]] || continue
    if ((at == COMP_CWORD - 1)); then
      mapfile -t COMPREPLY < <(compgen -c -- "$current")
    else
      _mxm_secretsd_files file
    fi
    return
  done
  case \${COMP_WORDS[1]} in
${all
  .map(({ command, options, operands }) => {
    const values = options.filter(([, { value }]) => value !== undefined);
    const names = options.map(([name]) => `--${name}`).join(' ');
    return `    ${command.name})
      case $previous in
${values.map(([name, { completes }]) => `        --${name}) ${offer(completes)}; return ;;\n`).join('')}      esac
      if [[ $current == -* ]]; then _mxm_secretsd_words ${quoted(names)}; else ${offer(operands)}; fi
      ;;
`;
  })
  .join('')}  esac
}
_mxm_secretsd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}
_mxm_secretsd_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -A "$1" -- "$current")
}
complete -F _mxm_secretsd mxm-secretsd
`;
}

function offer(completes: Completes | undefined): string {
  if (completes === undefined) return ':';
  if (completes === 'file') return '_mxm_secretsd_files file';
  if (completes === 'folder') return '_mxm_secretsd_files directory';
  return `_mxm_secretsd_words ${quoted(completes.join(' '))}`;
}
