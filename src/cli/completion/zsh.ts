import type { Completes } from '../commands.js';
import { offers, quoted } from './offers.js';

export function zshCompletion(): string {
  const all = offers();
  return `#compdef mxm-secretsd
# zsh completion for mxm-secretsd: put into a folder of $fpath as _mxm-secretsd,
# or run after compinit: source <(mxm-secretsd completion zsh)
_mxm_secretsd() {
  local -a subcommands=(
${all.map(({ command }) => `    ${quoted(`${command.name}:${command.summary}`)}\n`).join('')}  )
  local at
  if ((CURRENT == 2)); then
    if [[ $words[2] == -* ]]; then compadd -- --help --version; else _describe command subcommands; fi
    return
  fi
  # After "--" stands another command.
  at=\${words[(i)--]}
  if ((at < CURRENT)); then
    shift $at words
    ((CURRENT -= at))
    _normal
    return
  fi
  local name=$words[2]
  shift words
  ((CURRENT--))
  case $name in
${all
  .map(({ command, options, operands }) => {
    const specs = options.map(([option, { value, help, repeats, completes }]) => {
      const argument = value === undefined ? '' : `:${escaped(value)}:${action(completes)}`;
      return quoted(`${repeats ? '*' : ''}--${option}${value === undefined ? '' : '='}[${escaped(help)}]${argument}`);
    });
    const shown = command.operands.map(({ repeats }) => quoted(`${repeats ? '*' : '1'}: :${action(operands)}`));
    return `    ${command.name}) _arguments -S ${[...specs, ...shown].join(' ')} ;;\n`;
  })
  .join('')}  esac
}
if [[ \${funcstack[1]} == _mxm-secretsd ]]; then _mxm_secretsd "$@"; else compdef _mxm_secretsd mxm-secretsd; fi
`;
}

/** Characters that mean something in a specification. */
function escaped(text: string): string {
  return text.replace(/[\\[\]:]/g, '\\$&');
}

function action(completes: Completes | undefined): string {
  // With anything else that offers nothing, an option that has been begun would not be completed.
  if (completes === undefined) return '()';
  if (completes === 'file') return '_files';
  if (completes === 'folder') return '_files -/';
  return `(${completes.join(' ')})`;
}
