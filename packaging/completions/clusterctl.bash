_clusterctl() {
    local line=${COMP_LINE:0:COMP_POINT} current prefix word
    local -a words offered
    IFS=$' \t' read -r -a words <<<"$line"
    # After a blank a new word begins.
    case $line in *[[:blank:]]) words+=("") ;; esac
    current=${words[${#words[@]} - 1]}
    mapfile -t offered < <(
        CLUSTERCTL_COMPLETE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) \
            clusterctl -- "${words[@]}" 2>/dev/null
    )
    # bash breaks a word at `@`, `:` and `=`, and replaces its last part only.
    prefix=${current%"${current##*[@:=]}"}
    case $COMP_WORDBREAKS in *@*) ;; *) prefix=${current%"${current##*[:=]}"} ;; esac
    COMPREPLY=()
    for word in "${offered[@]}"; do
        word=${word#"$prefix"}
        # Files have names that others have chosen: nothing in them is an instruction to this shell.
        case $word in *[!A-Za-z0-9_./@:=,+%-]*) printf -v word %q "$word" ;; esac
        COMPREPLY+=("$word")
    done
    case ${#COMPREPLY[@]},${COMPREPLY-} in
        1,*[/@:=]) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -o bashdefault -o nosort -F _clusterctl clusterctl 2>/dev/null ||
    complete -o bashdefault -F _clusterctl clusterctl
