# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # variables for those who source this
# What the examples share. MCP_TRACE=1 shows each busctl command before it runs.
service=org.mcp.Runtime1
root=/org/mcp/Runtime1
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# The comment at the head of a script is its manual.
usage() {
    sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit "${1:-2}"
}
[[ ${1:-} != --help && ${1:-} != -h ]] || usage 0

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# call PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]: the answer as busctl prints it, `o "/a/path"`.
# The `--` is for arguments that begin with a dash; a job may take longer than busctl's 25 seconds.
call() {
    local path=$1 interface=$2
    shift 2
    [ -n "$path" ] || return 1  # of something that is not there, which was told
    [ -z "${MCP_TRACE:-}" ] || echo "+ busctl call -- $service $path $service.$interface ${*@Q}" >&2
    busctl --system --timeout=infinity call -- "$service" "$path" "$service.$interface" "$@"
}

# property PATH INTERFACE NAME: the value without its type; strings without quotes
property() {
    local value
    value=$(busctl --system get-property "$service" "$1" "$service.$2" "$3")
    value=${value#* }
    value=${value#\"}
    unescape "${value%\"}"
}

# vm_path NAME: the object of a VM. Names are escaped in paths, so ask for it.
vm_path() {
    call "$root" Manager GetVM s "$1" | strings
}

# The strings of an answer, one a line; for names, paths and digests, in which no quote can be.
strings() {
    { grep -o '"[^"]*"' || true; } | tr -d '"'
}

# The text that busctl shows escaped as in C.
unescape() {
    local text=${1//\\\"/\"}
    printf '%b\n' "${text//"\\'"/\'}"
}

# wait_for_job PATH: returns when the job has ended; shows its error
wait_for_job() {
    local answer
    answer=$(call "$1" Job Wait) || return
    [[ $answer =~ ^sss\ \"([a-z]*)\"\ \"([^\"]*)\"\ \"(.*)\"$ ]] || die "cannot read the answer: $answer"
    [ "${BASH_REMATCH[1]}" = "done" ] && return
    echo "${0##*/}: the job ${BASH_REMATCH[1]}: ${BASH_REMATCH[2]#"$service".Error.}: $(unescape "${BASH_REMATCH[3]}")" >&2
    return 1
}

# job_of ANSWER: the job's path in an answer that has one
job_of() {
    grep -o "$root/job/[0-9]*" <<<"$1"
}

# parse_spec [-p PORT] [-m MIB] [-c CPUS] [-e KEY=VALUE] [-l KEY=VALUE] [-n NETWORK] [-t TARGET] [-R] NAME IMAGE [COMMAND...]
# sets name and spec, an a{sv} as busctl wants it: the number of keys, then key, type and value of each.
parse_spec() {
    local option ports=() environment=() labels=() keys=()
    while getopts :p:m:c:e:l:n:t:R option; do
        case $option in
        p) ports+=("$OPTARG") ;;
        m) keys+=(MemoryMiB u "$OPTARG") ;;
        c) keys+=(VCPUs u "$OPTARG") ;;
        e) environment+=("$OPTARG") ;;
        l) labels+=("${OPTARG%%=*}" "${OPTARG#*=}") ;;
        n) keys+=(Network s "$OPTARG") ;;
        t) keys+=(Target s "$OPTARG") ;;
        R) keys+=(Ephemeral b true) ;;
        *) usage ;;
        esac
    done
    shift $((OPTIND - 1))
    [ $# -ge 2 ] || usage
    name=$1
    keys+=(Image s "$2")
    shift 2
    local count=$((${#keys[@]} / 3))
    [ $# -eq 0 ] || { keys+=(Command as $# "$@") && count=$((count + 1)); }
    [ ${#ports[@]} -eq 0 ] || { keys+=(Ports as ${#ports[@]} "${ports[@]}") && count=$((count + 1)); }
    [ ${#environment[@]} -eq 0 ] ||
        { keys+=(Environment as ${#environment[@]} "${environment[@]}") && count=$((count + 1)); }
    [ ${#labels[@]} -eq 0 ] ||
        { keys+=(Labels 'a{ss}' $((${#labels[@]} / 2)) "${labels[@]}") && count=$((count + 1)); }
    spec=("$count" "${keys[@]}")
}

# mcp-fd: what busctl cannot do. Installed, or in a build directory of the checkout.
mcp_fd() {
    local program
    for program in "${MCP_FD:-}" {/usr,/usr/local}/libexec/mcp-runtime/mcp-fd "$here"/../build*/busctl-examples/mcp-fd; do
        [ ! -x "$program" ] || exec "$program" "$@"
    done
    die "no mcp-fd: install the service, or name the program in MCP_FD"
}
