/** A command that a document prints, with what it prints below it. */
export interface PrintedCommand {
  readonly command: string;
  readonly output: string;
}

/** The commands of a `console` fence: `$ COMMAND`, and its output up to the next. */
export function printedCommands(fence: string): readonly PrintedCommand[] {
  const commands: { command: string; lines: string[] }[] = [];
  for (const line of fence.split('\n')) {
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), lines: [] });
    else if (commands.length > 0) commands.at(-1)!.lines.push(line);
    else throw new Error(`a console begins with a command, not with ${line}`);
  }
  return commands.map(({ command, lines }) => ({ command, output: lines.join('\n') }));
}

/** What a printed output stands for: itself, with any text within a line for each `…`. */
export function patternOf(output: string): RegExp {
  const literal = output.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '[^\\n]*')}$`);
}
