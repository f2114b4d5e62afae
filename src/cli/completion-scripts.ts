// What bash, zsh and fish are told once: to ask the program itself, which answers a word a line, a tab and its description behind it, and
// at last a line with a colon that says what the shell adds. Must not know commands and options.

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** The hidden command that the scripts call. */
export const wordsCommandName = 'complete-words';

const BASH = String.raw`# bash completion for syncplicityfs
_syncplicityfs() {
    local -a words=() lines=()
    local i word joined= previous= directive=
    # bash splits words at "=" and ":", which belong to them here.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${'$'}{COMP_WORDS[i]}
        if ((i > 1)) && [[ $word =~ ^[=:]+$ || ( -n $word && $previous =~ ^[=:]+$ ) ]]; then
            joined+=$word
        else
            ((i > 1)) && words+=("$joined")
            joined=$word
        fi
        previous=$word
    done
    local raw=$word quote= current=$joined
    [[ $raw =~ ^[=:]+$ ]] && raw=
    local prefix=${'$'}{joined%"$raw"}
    case $raw in
        \"* | \'*) quote=${'$'}{raw:0:1} current=$prefix${'$'}{raw:1} ;;
        *) current=${'$'}{joined//\\/} ;;
    esac
    mapfile -t lines < <("$1" __WORDS__ -- "${'$'}{words[@]}" "$current" 2>/dev/null)
    ((${'$'}{#lines[@]})) || return
    directive=${'$'}{lines[-1]}
    unset 'lines[-1]'
    COMPREPLY=()
    for word in "${'$'}{lines[@]}"; do
        word=${'$'}{word%%$'\t'*}
        word=${'$'}{word#"$prefix"}
        [[ $quote ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
    local flag=
    case $directive in
        :files) flag=-f ;;
        :directories) flag=-d ;;
        :open) compopt -o nospace ;;
    esac
    if [[ $flag ]]; then
        mapfile -t lines < <(compgen "$flag" -- "${'$'}{current#"$prefix"}")
        if ((${'$'}{#lines[@]})); then
            ((${'$'}{#COMPREPLY[@]})) || compopt -o filenames
            COMPREPLY+=("${'$'}{lines[@]}")
        fi
    fi
}
complete -F _syncplicityfs syncplicityfs`;

const ZSH = String.raw`#compdef syncplicityfs
_syncplicityfs() {
    local -a lines found
    local line directive
    lines=("${'$'}{(@f)$("${'$'}{words[1]}" __WORDS__ -- "${'$'}{(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${'$'}{lines[-1]}
    for line in "${'$'}{(@)lines[1,-2]}"; do
        found+=("${'$'}{${'$'}{line%%$'\t'*}//:/\\:}:${'$'}{line#*$'\t'}")
    done
    case $directive in
        :open) _describe -t words 'syncplicityfs' found -S '' ;;
        *) ((${'$'}{#found})) && _describe -t words 'syncplicityfs' found ;;
    esac
    case $directive in
        :files) _files ;;
        :directories) _files -/ ;;
    esac
}
if [ "$funcstack[1]" = "_syncplicityfs" ]; then
    _syncplicityfs "$@"
else
    compdef _syncplicityfs syncplicityfs
fi`;

const FISH = String.raw`# fish completion for syncplicityfs
function __syncplicityfs_words
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (command $words[1] __WORDS__ -- $words[2..-1] "$current" 2>/dev/null)
    set -q lines[1]; or return
    switch $lines[-1]
        case :files
            __fish_complete_path "$current"
        case :directories
            __fish_complete_directories "$current" ''
    end
    set -e lines[-1]
    printf '%s\n' $lines
end
complete -c syncplicityfs -f -a '(__syncplicityfs_words)'`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The script of a shell, to be sourced or put where the shell looks for it. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell].replaceAll('__WORDS__', wordsCommandName);
}
